"""A pass begun once and finished many times: what lies below the first edited layer is computed a single time."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import IDLE, Edit, PassDone, Span, Taps
from glassbook.models.attention import Behind, KVCache
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.models.together import Climber, climb_together

_READ_SITES = ("ln_final_scale", "resid_final", "logits")
ReadAt = Sequence[int] | Sequence[Sequence[int]] | None


class Prefix:
    """The residual stream of a batch where block `layer` begins, ready to be continued under different edits.

    `layer` may be the number of layers: then only the reading of the logits is left. `layer` None computes nothing ahead, for
    edits of the embeddings themselves and for networks whose passes can only be made whole.
    """

    def __init__(
        self, model: Model, batch: Prompts, layer: int | None, prompt_lengths: Sequence[int] | None = None
    ) -> None:
        self.model, self.batch = model, batch
        self.layer = layer if model.net.resumable else None
        self.span = model.span(batch, prompt_lengths)
        self.resid = None if self.layer is None else self._climbed(None, self.layer)

    @classmethod
    def below(
        cls, model: Model, batch: Prompts, edits: Sequence[Sequence[Edit]], prompt_lengths: Sequence[int] | None = None
    ) -> "Prefix":
        """Return the prefix below the lowest place that any of several sets of edits touches."""
        return cls(model, batch, lowest_layer(model, [edit.site for one in edits for edit in one]), prompt_lengths)

    def advanced_to(self, layer: int) -> "Prefix":
        """Return the prefix of the same batch at a layer further up, for the price of the blocks between."""
        if self.layer is None or layer == self.layer:
            return self
        if layer < self.layer:
            raise InputError(
                f"the prefix ends where L{self.layer} begins and cannot go back to L{layer}; begin another"
            )
        return self._twin(self.batch, self.span, layer, self._climbed(self.resid, layer))

    def repeated(self, times: int) -> "Prefix":
        """Return the prefix of the whole batch `times` over, one copy after another, so that each may be edited its own way."""
        n = len(self.batch.lengths)
        batch = Prompts(self.batch.ids.repeat(times, 1), list(self.batch.lengths) * times)
        span = Span(
            self.span.positions.repeat(times, 1),
            self.span.prompt_lengths.repeat(times),
            self.span.lengths.repeat(times),
            torch.arange(n * times, device=batch.ids.device),
        )
        return self._twin(batch, span, self.layer, None if self.resid is None else self.resid.repeat(times, 1, 1))

    def logits(
        self, edits: Sequence[Edit], read_at: ReadAt = None, span: Span | None = None
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return the logits under `edits`, none of them below the prefix.

        `read_at` gives one position of each row, or equally many of each; None reads everywhere. `span` is what the edits see
        instead of the prefix's own, where other tokens are to count as generated.
        """
        for edit in edits:
            if not self._reaches(edit.site):
                raise InputError(
                    f"the prefix ends where L{self.layer} begins, so an edit at {edit.site} would do nothing"
                )
        taps = Taps(edits=edits, span=span or self.span)
        with torch.inference_mode():
            if not self.model.net.resumable:
                return _picked(self.model.net(self.batch.ids, taps), read_at)
            return self.model.transformer.read(_picked(self._finished(taps), read_at), taps)

    def head(self, n: int, edits: Callable[[int], Sequence[Edit]], shared: int) -> "Head":
        """Return the first `shared` tokens in `n` copies, each under its own edits, for `branches` to look back at.

        All rows, and those of every prefix at this layer that branches from it, must have these tokens in common.
        """
        head = self._columns([0], slice(0, shared)).repeated(n)
        taps = Taps(edits=edits(1), span=head.span)
        with torch.inference_mode():
            cache = self.model.transformer.new_cache(n, shared)
            return Head(cache, Climber(head.entered(taps), head.span.positions, taps, cache))

    def branches(
        self,
        n: int,
        edits: Callable[[int], Sequence[Edit]],
        read_at: ReadAt,
        head: "Head | None" = None,
        first: int = 0,
    ) -> "Branches":
        """Return the batch `n` times over, one copy after another, each under its own edits, ready to be finished.

        `edits(rows)` gives those for a pass in which every copy has so many rows. With a head, whose copies from number `first`
        on are theirs, the tokens it holds are not computed again: the others look back at them, and none can be read at.
        """
        rows = len(self.batch.lengths)
        copies, places = self.repeated(n), _repeated(read_at, n)
        if head is None:
            return Branches(copies, Taps(edits=edits(rows), span=copies.span), places)
        keys, values = (held[:, first : first + n] for held in (head.cache.keys, head.cache.values))
        behind = Behind(keys, values, rows)
        tail = copies._columns(range(rows * n), slice(behind.filled, None))
        later = None if places is None else [[place - behind.filled for place in _listed(one)] for one in places]
        return Branches(tail, Taps(edits=edits(rows), span=tail.span), later, behind)

    def entered(self, taps: Taps) -> Float[Tensor, "batch pos d_model"]:
        """Return the stream where the blocks that are left begin."""
        if self.resid is None:
            return self.model.transformer.enter(self.batch.ids, self.span.positions, taps)
        # Where this layer begins the one below has ended: one place with two addresses.
        return taps.at(self.layer - 1)("resid_post", self.resid) if self.layer else self.resid

    def _finished(self, taps: Taps, cache: KVCache | None = None) -> Float[Tensor, "batch pos d_model"]:
        """Return the stream after the last block."""
        net = self.model.transformer
        return net.climb(self.entered(taps), self.span.positions, taps, cache, self.layer or 0)

    def _columns(self, rows: Sequence[int], columns: slice) -> "Prefix":
        """Return some rows and columns of the prefix, whose tokens keep their positions."""
        index = torch.tensor(list(rows), device=self.batch.ids.device)
        batch = Prompts(self.batch.ids[index, columns], [self.batch.lengths[row] for row in rows])
        span = Span(
            self.span.positions[index, columns],
            self.span.prompt_lengths[index],
            self.span.lengths[index],
            torch.arange(len(index), device=index.device),
        )
        return self._twin(batch, span, self.layer, None if self.resid is None else self.resid[index, columns])

    def _climbed(self, resid: Tensor | None, layer: int) -> Float[Tensor, "batch pos d_model"]:
        """Return the stream where `layer` begins, from where this prefix stands or from the tokens."""
        net, positions = self.model.transformer, self.span.positions
        kept: list[Tensor] = []
        n_layers = self.model.config.n_layers
        above = layer == n_layers
        site = Site("resid_post", n_layers - 1) if above else Site("resid_pre", layer)
        taps = Taps(readers={site: kept.append}, stop=True, span=self.span)
        with torch.inference_mode(), suppress(PassDone):
            start = net.enter(self.batch.ids, positions, IDLE) if resid is None else resid
            net.climb(start, positions, taps, None, 0 if resid is None else self.layer or 0)
        return kept[0]

    def _twin(self, batch: Prompts, span: Span, layer: int | None, resid: Tensor | None) -> "Prefix":
        twin = Prefix.__new__(Prefix)
        twin.model, twin.batch, twin.span, twin.layer, twin.resid = self.model, batch, span, layer, resid
        return twin

    def _reaches(self, site: Site) -> bool:
        if self.layer is None:
            return True
        if site.layer is None:
            return "embed" not in site.name
        return site.layer >= self.layer or _begins_at(site) == self.layer


@dataclass(slots=True)
class Head:
    """First tokens that rows have in common: the memory for their keys, and the pass that fills it, until it has."""

    cache: KVCache
    climber: Climber | None


@dataclass(frozen=True, slots=True)
class Branches:
    """Copies of a prefix under edits of their own, before they climb."""

    prefix: Prefix
    taps: Taps
    read_at: ReadAt
    behind: Behind | None = None


def finish_together(
    parts: Sequence[Branches], head: Head | None = None
) -> list[Float[Tensor, "copies_of_batch read d_vocab"]]:
    """Return the logits of branches of prefixes at one layer, and of one head if any: weights are read once for all of them."""
    first = parts[0].prefix
    if first.resid is None:
        return [part.prefix.logits(list(part.taps.edits), part.read_at) for part in parts]
    net = first.model.transformer
    with torch.inference_mode():
        climbers = [Climber(p.prefix.entered(p.taps), p.prefix.span.positions, p.taps, p.behind) for p in parts]
        climb_together(net, [*([head.climber] if head and head.climber else []), *climbers], first.layer or 0)
        if head:
            head.climber = None
        picked = [_picked(one.resid, part.read_at) for one, part in zip(climbers, parts, strict=True)]
        if any(part.taps.at().wants(*_READ_SITES) for part in parts):
            return [net.read(resid, part.taps) for resid, part in zip(picked, parts, strict=True)]
        # The unembedding is the largest matrix of all; it too is read once.
        logits = net.read(torch.cat([resid.flatten(0, 1) for resid in picked]).unsqueeze(1), IDLE).squeeze(1)
        counts = [resid.shape[:2].numel() for resid in picked]
        return [one.unflatten(0, resid.shape[:2]) for one, resid in zip(logits.split(counts), picked, strict=True)]


def lowest_layer(model: Model, sites: Sequence[Site]) -> int | None:
    """Return the layer where a prefix may end that lies below all of `sites`; None where they reach the embeddings."""
    if any("embed" in site.name for site in sites):
        return None
    return min((_begins_at(site) for site in sites if site.layer is not None), default=model.config.n_layers)


def _begins_at(site: Site) -> int:
    """Return the layer at whose beginning all that lies below a Site is done."""
    assert site.layer is not None
    return site.layer + 1 if site.name == "resid_post" else site.layer


def _repeated(read_at: ReadAt, n: int) -> ReadAt:
    return None if read_at is None else [*read_at] * n


def _listed(places: int | Sequence[int]) -> Sequence[int]:
    return [places] if isinstance(places, int) else places


def _picked(values: Float[Tensor, "batch pos width"], read_at: ReadAt) -> Float[Tensor, "batch read width"]:
    if read_at is None:
        return values
    places = torch.tensor(read_at, device=values.device).reshape(len(values), -1)
    return values[torch.arange(len(values), device=values.device)[:, None], places]
