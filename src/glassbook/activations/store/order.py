"""The order in which rows leave a store: shuffled across documents, the same for the same seed, and seekable.

Rows lie in blocks, about a context each. An epoch takes the blocks of the whole store in a random order, so many at a time
into a pool, and the rows of each pool in a random order. What is in memory is one pool, whatever the size of the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.store.shards import Shards
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.core.sites import Site

BLOCK = 256
"""Rows that lie side by side and stay together until they are in a pool."""
POOL = 65536
"""Rows among which a batch is drawn."""

Batch = Tensor | tuple[Tensor, ...]
"""Rows of one Site, or of several Sites for the same tokens."""

Plan = Sequence[tuple[int, int]]
"""The rows of one pool, as stretches from one up to another."""


@runtime_checkable
class Order(Protocol):
    """The pools of each epoch."""

    n_rows: int

    def starts(self, epoch: int) -> Int[np.ndarray, " pools_and_one"]:
        """Return how many rows come before each pool of an epoch, and the number of all."""
        ...

    def pool(self, epoch: int, number: int) -> Plan:
        """Return the rows of one pool, in the order of the store."""
        ...


class Shuffled:
    """Blocks from everywhere in a part of a store, in an order of their own in each epoch."""

    def __init__(self, part: tuple[int, int], seed: int, pool: int) -> None:
        self.part, self.seed = part, seed
        self.n_rows = part[1] - part[0]
        self._blocks_of_pool = max(pool // BLOCK, 1)
        self._n_blocks = -(-self.n_rows // BLOCK)
        self._epoch = -1

    def starts(self, epoch: int) -> Int[np.ndarray, " pools_and_one"]:
        """Return how many rows come before each pool of an epoch, and the number of all."""
        self._shuffle(epoch)
        n_pools = -(-self._n_blocks // self._blocks_of_pool)
        starts = np.minimum(np.arange(n_pools + 1) * self._blocks_of_pool * BLOCK, self._n_blocks * BLOCK)
        # Every block is full but the last one of the part, wherever the epoch puts it.
        starts[1:] -= np.where(starts[1:] > self._place_of_last * BLOCK, self._n_blocks * BLOCK - self.n_rows, 0)
        return starts

    def pool(self, epoch: int, number: int) -> Plan:
        """Return the rows of one pool, in the order of the store."""
        self._shuffle(epoch)
        first = number * self._blocks_of_pool
        blocks = np.sort(self._blocks[first : first + self._blocks_of_pool]).tolist()
        begin, end = self.part
        return [(begin + block * BLOCK, min(begin + (block + 1) * BLOCK, end)) for block in blocks]

    def _shuffle(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._blocks = torch.randperm(self._n_blocks, generator=generator(self.seed, "blocks", epoch)).numpy()
            self._place_of_last = int(np.flatnonzero(self._blocks == self._n_blocks - 1)[0])
            self._epoch = epoch


class ByShard:
    """Whole shards, each a pool, in an order of their own in each epoch: for a place from which shards must be fetched."""

    def __init__(self, part: tuple[int, int], seed: int, row_starts: Int[np.ndarray, " shards_and_one"]) -> None:
        self.part, self.seed = part, seed
        self.n_rows = part[1] - part[0]
        edges = np.unique(np.clip(row_starts, *part))
        self._stretches = list(pairwise(edges.tolist()))

    def starts(self, epoch: int) -> Int[np.ndarray, " pools_and_one"]:
        """Return how many rows come before each pool of an epoch, and the number of all."""
        sizes = [stop - start for start, stop in (self._stretches[number] for number in self._order(epoch))]
        return np.cumsum([0, *sizes])

    def pool(self, epoch: int, number: int) -> Plan:
        """Return the rows of one pool, in the order of the store."""
        return [self._stretches[self._order(epoch)[number]]]

    def _order(self, epoch: int) -> list[int]:
        return torch.randperm(len(self._stretches), generator=generator(self.seed, "shards", epoch)).tolist()


class AsHarvested:
    """Rows in the order of the harvest, a pool after the other: the order of rows that stream through memory."""

    def __init__(self, part: tuple[int, int], pool: int) -> None:
        self.part, self._pool = part, pool
        self.n_rows = part[1] - part[0]

    def starts(self, epoch: int) -> Int[np.ndarray, " pools_and_one"]:
        """Return how many rows come before each pool of an epoch, and the number of all."""
        return np.append(np.arange(0, self.n_rows, self._pool), self.n_rows)

    def pool(self, epoch: int, number: int) -> Plan:
        """Return the rows of one pool, in the order of the store."""
        start = self.part[0] + number * self._pool
        return [(start, min(start + self._pool, self.part[1]))]


def shuffled_within(n: int, seed: int, epoch: int, pool: int) -> Int[Tensor, " n"]:
    """Return the order of the rows of one pool."""
    return torch.randperm(n, generator=generator(seed, "pool", epoch, pool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How batches are drawn: rows in each, seed, epochs (None: without end), precision and device they come in."""

    batch_size: int
    seed: int
    epochs: int | None
    dtype: torch.dtype
    device: torch.device

    def handed_out(self, rows: Sequence[Float[Tensor, "row _"]], is_single: bool) -> Batch:
        """Return rows in the form that was asked for."""
        found = tuple(one.to(self.device, self.dtype, non_blocking=True) for one in rows)
        return found[0] if is_single else found


class ShuffledRows:
    """A Stream of batches of rows; after its epochs it raises InputError, and it can be iterated over."""

    def __init__(self, shards: Shards, sites: Sequence[Site], order: Order, drawing: Drawing, is_single: bool) -> None:
        if not 0 < drawing.batch_size <= order.n_rows:
            raise InputError(
                f"{order.n_rows:,} rows make no batch of {drawing.batch_size:,}; ask for 1 to {order.n_rows:,}"
            )
        self.shards, self.sites, self.order, self.drawing, self.is_single = (
            shards,
            tuple(sites),
            order,
            drawing,
            is_single,
        )
        self.per_epoch = order.n_rows // drawing.batch_size
        self.drawn = 0
        self._epoch, self._starts = -1, np.zeros(1, np.int64)
        self._pool: Pool | None = None
        self._memory: tuple[Tensor, ...] = ()

    @property
    def n_batches(self) -> int | None:
        """Return how many batches there are in all epochs, a rest too small for one left out of each; None without end."""
        return None if self.drawing.epochs is None else self.per_epoch * self.drawing.epochs

    def next(self) -> Batch:
        """Return the next batch, [batch width]; a tuple of batches of the same tokens where several Sites were asked for."""
        if self.drawn == self.n_batches:
            raise InputError(
                f"all {self.n_batches:,} batches of {self.drawing.epochs} epochs are drawn; ask for more epochs"
            )
        epoch, place = divmod(self.drawn, self.per_epoch)
        start = place * self.drawing.batch_size
        rows = self._rows(epoch, start, start + self.drawing.batch_size)
        self.drawn += 1
        return self.drawing.handed_out(rows, self.is_single)

    def __iter__(self) -> Iterator[Batch]:
        while self.drawn != self.n_batches:
            yield self.next()

    def state(self) -> dict[str, Tensor]:
        """Return how many batches were drawn, which is all that the next one depends on."""
        return {"drawn": torch.tensor(self.drawn)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.drawn = int(state["drawn"])

    def _rows(self, epoch: int, start: int, stop: int) -> list[Tensor]:
        """Return rows of an epoch's order at each Site; a batch may lie across pools."""
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self.order.starts(epoch)
        number = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts: list[list[Tensor]] = []
        while start < stop:
            begin, end = int(self._starts[number]), int(self._starts[number + 1])
            pool = self._pooled(epoch, number)
            chosen = pool.order[start - begin : min(stop, end) - begin]
            parts.append([values.index_select(0, chosen) for values in pool.values])
            start, number = min(stop, end), number + 1
        return parts[0] if len(parts) == 1 else [torch.cat(values) for values in zip(*parts, strict=True)]

    def _pooled(self, epoch: int, number: int) -> "Pool":
        """Return a pool; the last one stays in memory."""
        if self._pool is None or self._pool.name != (epoch, number):
            plan = self.order.pool(epoch, number)
            # The next pool is written over the last one, so that there are never two.
            values = self._room(sum(stop - start for start, stop in plan))
            gather(self.shards, self.sites, plan, values)
            order = shuffled_within(len(values[0]), self.drawing.seed, epoch, number)
            self._pool = Pool((epoch, number), values, order)
        return self._pool

    def _room(self, n_rows: int) -> tuple[Tensor, ...]:
        """Return memory for so many rows at each Site, taken anew only where there is too little."""
        if not self._memory or len(self._memory[0]) < n_rows:
            self._pool, self._memory = None, ()
            widths, dtype = self.shards.sites, self.shards.dtype
            self._memory = tuple(torch.empty(n_rows, widths[site], dtype=dtype) for site in self.sites)
        return tuple(values[:n_rows] for values in self._memory)


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows in memory at each Site, in the order of the store, and the order in which they are handed out."""

    name: tuple[int, int]
    values: tuple[Float[Tensor, "row _"], ...]
    order: Int[Tensor, " row"]


def gather(shards: Shards, sites: Sequence[Site], plan: Plan, into: Sequence[Float[Tensor, "row _"]]) -> None:
    """Copy stretches of rows at each Site, one after another, into memory of their size."""
    filled, last = 0, -1
    for start, stop in plan:
        for number, rows in shards.pieces(start, stop):
            if last not in (number, -1):
                shards[last].let_go()
            shard, last = shards[number], number
            place = slice(filled, filled + rows.stop - rows.start)
            for site, values in zip(sites, into, strict=True):
                values[place] = shard.values[site][rows]
            filled = place.stop
    shards[last].let_go()
