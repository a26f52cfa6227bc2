"""Taps: the one mechanism that reads and edits a forward pass.

A model calls `at("resid_pre", x)` wherever a value has a Site. With nothing asked for, `at` is `IDLE` and hands the value
back; a value that a fused kernel never forms (the attention pattern) is formed only when `at.wants` says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site


@dataclass(frozen=True, slots=True)
class Span:
    """Which tokens one forward pass covers, so that an edit can choose among them.

    `positions` counts within each row. A token at or beyond its row's `prompt_lengths` was generated; one at or beyond
    `lengths` is padding. `rows` says which prompt of the request each row continues, since finished rows leave the batch.
    """

    positions: Int[Tensor, "batch pos"]
    prompt_lengths: Int[Tensor, " batch"]
    lengths: Int[Tensor, " batch"]
    rows: Int[Tensor, " batch"]

    @classmethod
    def prompts(cls, lengths: Iterable[int], width: int, device: torch.device | None = None) -> "Span":
        """Return the span of right-padded prompts of these lengths."""
        known = torch.tensor(list(lengths), device=device)
        rows = torch.arange(len(known), device=device)
        return cls(torch.arange(width, device=device).expand(len(known), width), known, known, rows)

    @property
    def is_prompt(self) -> Bool[Tensor, "batch pos"]:
        """Return where the tokens of the prompts are."""
        return self.positions < self.prompt_lengths[:, None]

    @property
    def is_generated(self) -> Bool[Tensor, "batch pos"]:
        """Return where the generated tokens are."""
        return (self.positions >= self.prompt_lengths[:, None]) & self.is_real

    @property
    def is_real(self) -> Bool[Tensor, "batch pos"]:
        """Return where there is a token at all, padding left out."""
        return self.positions < self.lengths[:, None]


Change = Callable[[Tensor, Span], Tensor]
"""What an edit does: the value at a Site and the span of the pass in, the value that flows on out."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the value at one Site; a head's or neuron's Site hands over that slice only.

    `touches` says which tokens the change reaches, for the report; without it every token counts as touched.
    """

    site: Site
    change: Change
    touches: Callable[[Span], Bool[Tensor, "batch pos"]] = lambda span: span.is_real


@runtime_checkable
class Steering(Protocol):
    """Anything that can be given to a model as `steer=`: it knows its edits, and whether it needs the BOS token."""

    @property
    def needs_bos(self) -> bool:
        """Return whether prompts must begin with the document-start token."""
        ...

    def edits_for(self, model: Any) -> list[Edit]:
        """Return the edits for this model; raise VectorError when they do not fit it."""
        ...


class PassDone(Exception):  # noqa: N818 - not an error: the last reader has read
    """Ends a forward pass whose remaining values nobody reads."""


class At:
    """The taps of one layer (or of the values outside the blocks)."""

    __slots__ = ("_handlers",)

    def __init__(self, handlers: Mapping[str, list[Callable[[Tensor], Tensor]]]) -> None:
        self._handlers = handlers

    def __call__(self, name: str, value: Tensor) -> Tensor:
        """Return what flows on at the Site called `name`: `value`, or what the edits made of it."""
        for handler in self._handlers.get(name, ()):
            value = handler(value)
        return value

    def wants_only(self, *names: str) -> bool:
        """Return whether nobody reads or edits anything here but at `names`."""
        return all(name in names for name in self._handlers)

    def wants(self, *names: str) -> bool:
        """Return whether anybody reads or edits one of `names`, so that it must be formed."""
        return any(name in self._handlers for name in names)


class _IdleAt(At):
    __slots__ = ()

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return value

    def wants(self, *names: str) -> bool:
        return False


_IDLE_AT = _IdleAt({})


@dataclass(slots=True)
class Taps:
    """What is read and edited in one forward pass (or, in generation, in each of its passes).

    Readers see what flows on, after the edits at the same Site. `stop` ends the pass with `PassDone` once every reader has
    read: nothing that lies above is computed.
    """

    edits: Iterable[Edit] = ()
    readers: Mapping[Site, Callable[[Tensor], None]] = field(default_factory=dict)
    stop: bool = False
    span: Span | None = None
    _layers: dict[tuple[str, int | None], At] = field(init=False)
    _unread: int = field(init=False)

    def __post_init__(self) -> None:
        found: dict[tuple[str, int | None], dict[str, list[Callable[[Tensor], Tensor]]]] = {}
        wanted = [(edit.site, self._editing(edit)) for edit in self.edits]
        wanted += [(site, self._reading(site, read)) for site, read in self.readers.items()]
        for site, handler in wanted:
            found.setdefault((site.tower, site.layer), {}).setdefault(site.name, []).append(handler)
        self._layers = {key: At(handlers) for key, handlers in found.items()}
        self._unread = len(self.readers)

    def at(self, layer: int | None = None, tower: str = "") -> At:
        """Return the taps of one layer; `None` means the values outside the blocks."""
        return self._layers.get((tower, layer), _IDLE_AT)

    @property
    def idle(self) -> bool:
        """Return whether nothing is read and nothing is edited."""
        return not self._layers

    def _editing(self, edit: Edit) -> Callable[[Tensor], Tensor]:
        def handler(value: Tensor) -> Tensor:
            assert self.span is not None, "a model sets the span before its first tap"
            if edit.site.part is None:
                return _same_form(edit.change(value, self.span), value, edit.site)
            axis, index = edit.site.part
            part = value.select(axis, index)
            whole = value.clone()
            whole.select(axis, index).copy_(_same_form(edit.change(part, self.span), part, edit.site))
            return whole

        return handler

    def _reading(self, site: Site, read: Callable[[Tensor], None]) -> Callable[[Tensor], Tensor]:
        def handler(value: Tensor) -> Tensor:
            read(value if site.part is None else value.select(*site.part))
            self._unread -= 1
            if self.stop and self._unread == 0:
                raise PassDone
            return value

        return handler


def _same_form(new: Tensor, old: Tensor, site: Site) -> Tensor:
    if new.shape != old.shape:
        raise InputError(
            f"the edit at {site} returned shape {tuple(new.shape)}; return the shape it was given, {tuple(old.shape)}"
        )
    return new.to(old.dtype)


IDLE = Taps()
"""The taps of a pass that nobody reads or edits."""
