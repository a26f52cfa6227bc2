"""Reading a forward pass: any set of Sites, at chosen positions, in one pass that stops when the last is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassbook.activations.cache import ActivationCache
from glassbook.core.devices import as_dtype, available_memory
from glassbook.core.errors import InputError, MemoryLimitError, SiteError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, PassDone, Taps
from glassbook.models.model import Model, Steer
from glassbook.models.prompts import Prompt, Prompts

Positions = int | slice | Sequence[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How values are read: which positions (negative ones count from each prompt's own end), precision, gradients, batches.

    `memory_limit` is in bytes; None means what the machine has left.
    """

    positions: Positions = None
    dtype: str | torch.dtype | None = None
    grad: bool = False
    batch_size: int | None = None
    memory_limit: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size = {self.batch_size} cannot be used; it must be at least 1")


def capture(
    model: Model,
    prompt: Prompt | Prompts,
    sites: str | Site | Sequence[str | Site],
    *,
    stop_at_layer: int | None = None,
    steer: Steer = None,
    edits: Sequence[Edit] = (),
    prepend_bos: bool | None = None,
    **how: object,
) -> ActivationCache:
    """Return the values at `sites`, keyed by Site; the pass ends when the last of them is read.

    `stop_at_layer` keeps only what lies below that layer. `how` takes the fields of `Reading`: positions, dtype, grad,
    batch_size, memory_limit. With `grad=True` the values belong to a graph: call `backward` on something made of them, then
    `cache.grad(site)`. Raises SiteError, InputError, and, without `grad`, MemoryLimitError before anything is computed.
    """
    reading = Reading(**how)  # type: ignore[arg-type]
    batch = model.read_for(prompt, steer, prepend_bos)
    wanted = below(model.sites(sites), stop_at_layer)
    all_edits = [*model.edits_of(steer), *edits]
    if reading.grad:
        return _capture_graph(model, batch, wanted, all_edits, reading)
    store = Store(model, batch, wanted, reading)
    size = reading.batch_size or len(batch.lengths)
    with torch.inference_mode():
        for first in range(0, len(batch.lengths), size):
            rows = slice(first, first + size)
            part = Prompts(batch.ids[rows], batch.lengths[rows])
            span = model.span(part)
            # Steering that differs from row to row counts the rows of the whole batch.
            span = replace(span, rows=span.rows + first)
            taps = Taps(edits=all_edits, readers=store.readers(rows), stop=True, span=span)
            try:
                model.net(part.ids, taps)
            except PassDone:
                continue
            raise SiteError(
                f"a pass ended before all of {', '.join(map(str, wanted))} had been read; this is a fault of the model"
            )
    return ActivationCache(store.values(), model, batch)


def below(sites: list[Site], stop_at_layer: int | None) -> list[Site]:
    """Return the Sites that lie below a layer; raise InputError when none is left."""
    if not sites:
        raise InputError("no Site is asked for; name at least one, for example L0.resid_post")
    if stop_at_layer is None:
        return sites
    kept = [site for site in sites if (site.layer < stop_at_layer if site.layer is not None else "embed" in site.name)]
    if not kept:
        raise InputError(
            f"no Site asked for lies below layer {stop_at_layer}; raise stop_at_layer or ask for earlier Sites"
        )
    return kept


class Store:
    """Memory for what is read, taken once; layers of one sort of Site lie side by side, so that stacking them is free."""

    def __init__(self, model: Model, batch: Prompts, sites: Sequence[Site], reading: Reading) -> None:
        self.sites = list(sites)
        self.index = _index(reading.positions, batch.lengths, batch.ids.shape[1])
        self.dtype = as_dtype(reading.dtype) if reading.dtype else model.dtype
        width = batch.ids.shape[1]
        n_read = width if self.index is None else self.index.shape[1]
        self.shapes = {site: _shape(site, model, len(batch.lengths), width, n_read) for site in self.sites}
        limit = available_memory() if reading.memory_limit is None else reading.memory_limit
        self._check_memory(limit, model, batch, reading.batch_size)
        self.buffers = self._take(model.device)

    def _check_memory(self, limit: int, model: Model, batch: Prompts, batch_size: int | None) -> None:
        kept = sum(torch.Size(shape).numel() for shape in self.shapes.values()) * self.dtype.itemsize
        rows = min(batch_size or len(batch.lengths), len(batch.lengths))
        need = kept + _workspace(model, rows, batch.ids.shape[1], self.sites)
        if need > limit:
            raise MemoryLimitError(
                f"capturing {len(self.sites)} Sites of {len(batch.lengths)} prompts x {batch.ids.shape[1]} tokens needs about "
                f"{need / 2**30:.2f} GiB and {limit / 2**30:.2f} GiB is allowed; ask for fewer Sites or positions, "
                f"a smaller batch_size, or dtype='bfloat16'"
            )

    def _take(self, device: torch.device) -> dict[Site, Tensor]:
        groups: dict[tuple[object, ...], list[Site]] = {}
        for site in self.sites:
            groups.setdefault((site.name, site.head, site.neuron, site.tower, self.shapes[site]), []).append(site)
        buffers: dict[Site, Tensor] = {}
        for sites in groups.values():
            stack = torch.empty((len(sites), *self.shapes[sites[0]]), dtype=self.dtype, device=device)
            buffers.update(zip(sites, stack, strict=True))
        return buffers

    def readers(self, rows: slice) -> dict[Site, Callable[[Tensor], None]]:
        """Return what writes each Site's value of these rows of the batch into its place."""
        index = None if self.index is None else self.index[rows]

        def writer(site: Site) -> Callable[[Tensor], None]:
            def write(value: Tensor) -> None:
                self.buffers[site][rows] = _at_positions(value, index, site).to(self.dtype)

            return write

        return {site: writer(site) for site in self.sites}

    def values(self) -> dict[Site, Tensor]:
        """Return what was read."""
        return self.buffers


def _capture_graph(
    model: Model, batch: Prompts, sites: list[Site], edits: list[Edit], reading: Reading
) -> ActivationCache:
    """Return values that belong to a graph; their gradients are kept."""
    values: dict[Site, Tensor] = {}
    index = _index(reading.positions, batch.lengths, batch.ids.shape[1])
    if index is not None or reading.dtype or reading.batch_size:
        raise InputError(
            "grad=True keeps whole values in the model's precision; leave out positions, dtype and batch_size"
        )

    def keeper(site: Site) -> Edit:
        def keep(value: Tensor, _: object) -> Tensor:
            # Opened models hold frozen weights, so the first value of the graph is made its leaf.
            kept = value if value.requires_grad else value.detach().requires_grad_()
            kept.retain_grad()
            values[site] = kept
            return kept

        return Edit(site, keep)

    with torch.enable_grad():
        model.run(batch, Taps(edits=[*edits, *map(keeper, sites)]))
    return ActivationCache(values, model, batch)


def _index(positions: Positions, lengths: list[int], width: int) -> Tensor | None:
    """Return which position of each row is read, `[batch n]`, or None for all of them."""
    if positions is None:
        return None
    if isinstance(positions, slice):
        if len(set(lengths)) > 1:
            raise InputError("a slice of positions needs prompts of equal length; give a list of positions instead")
        wanted = list(range(width))[positions]
    else:
        wanted = [positions] if isinstance(positions, int) else list(positions)
    rows = [[place + length if place < 0 else place for place in wanted] for length in lengths]
    for row, (places, length) in enumerate(zip(rows, lengths, strict=True)):
        if not places or min(places) < 0 or max(places) >= length:
            raise InputError(
                f"positions {wanted} do not all exist in prompt {row}, which has {length} tokens; "
                f"choose from 0 to {length - 1}, or count back from -1"
            )
    return torch.tensor(rows)


def _at_positions(value: Tensor, index: Tensor | None, site: Site) -> Tensor:
    if index is None:
        return value
    rows = torch.arange(len(index), device=value.device)[:, None]
    place = index.to(value.device)
    if _is_whole_square(site):
        return value.transpose(1, 2)[rows, place].transpose(1, 2)
    return value[rows, place]


def _is_whole_square(site: Site) -> bool:
    return "query" in site.kind.axes and site.head is None


def _shape(site: Site, model: Model, batch: int, width: int, n_read: int) -> tuple[int, ...]:
    known = model.config.sizes | {"batch": batch, "pos": n_read, "query": n_read, "key": width}
    shape = [known[axis] for axis in site.kind.axes]
    if site.part is not None:
        del shape[site.part[0]]
    return tuple(shape)


def _workspace(model: Model, rows: int, width: int, sites: Sequence[Site]) -> int:
    """Return roughly the bytes a pass holds beside what it keeps: one block's widest values, the logits when formed."""
    c = model.config
    per_token = 4 * c.d_model + 4 * c.d_mlp + 3 * c.n_heads * c.d_head
    if any("query" in site.kind.axes for site in sites):
        per_token += 3 * c.n_heads * width
    if any(site.name == "result" for site in sites):
        per_token += c.n_heads * c.d_model
    if any(site.name == "logits" for site in sites):
        per_token += c.d_vocab
    return rows * width * per_token * max(model.dtype.itemsize, 4)
