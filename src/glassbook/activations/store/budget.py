"""How much a harvest still may and must take: tokens asked for, bytes allowed, and what goes into the next shard."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glassbook.activations.store.journal import Ended, Shard
from glassbook.activations.store.packing import Context, Packer
from glassbook.activations.store.reading import Reader
from glassbook.activations.store.shards import ROW_BYTES, TOKEN_BYTES

_FACTS_BYTES, _LINE_BYTES, _HEADER_BYTES, _SITE_BYTES = 4096, 640, 1024, 256
"""At most so much is written beside the rows: about the store, about a shard, in a shard, and for each Site in each."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is wanted and allowed of what a reader reads; it follows from the shards that are there and from nothing else."""

    reader: Reader

    @property
    def context_bytes(self) -> int:
        """Return the most that one context takes on disk."""
        return self._bytes(self.reader.settings.context)

    def _bytes(self, n_rows: int) -> int:
        values = sum(self.reader.widths.values()) * self.reader.dtype.itemsize
        return n_rows * (values + ROW_BYTES) + self.reader.settings.context * TOKEN_BYTES + 4

    def room(self, shards: Sequence[Shard]) -> float:
        """Return the bytes that `max_bytes` leaves for contexts beside these shards."""
        if self.reader.settings.max_bytes is None:
            return math.inf
        sites = _SITE_BYTES * len(self.reader.sites)
        beside = _FACTS_BYTES + sites + (len(shards) + 1) * (_LINE_BYTES + _HEADER_BYTES + 2 * sites)
        return self.reader.settings.max_bytes - beside - sum(shard.bytes for shard in shards)

    def wanted(self, n_rows: int) -> float:
        """Return how many rows are wanted beyond so many."""
        tokens = self.reader.settings.tokens
        return math.inf if tokens is None else tokens - n_rows

    def ended(self, shards: Sequence[Shard], exhausted: bool) -> Ended | None:
        """Return why nothing more is to be harvested, or None where there is."""
        if exhausted:
            return "corpus"
        if self.wanted(sum(shard.rows for shard in shards)) <= 0:
            return "tokens"
        return "budget" if self.room(shards) < self.context_bytes else None

    def take(self, packer: Packer, shards: Sequence[Shard]) -> list[Context]:
        """Return the contexts of the next shard: as many as it holds, as the budget allows and as can be wanted."""
        how = self.reader.settings
        room, wanted = self.room(shards), self.wanted(sum(shard.rows for shard in shards))
        batch = min(how.batch_size, max(how.shard_bytes // self.context_bytes, 1))
        found: list[Context] = []
        size = 0
        while wanted > 0 and size + self.context_bytes <= room:
            # A shard ends with a whole batch, so that no pass is smaller than it need be.
            if found and len(found) % batch == 0 and size + batch * self.context_bytes > how.shard_bytes:
                break
            context = packer.next()
            if context is None:
                break
            found.append(context)
            n_rows = self.reader.most_rows(context)
            size += self._bytes(n_rows)
            wanted -= n_rows
        return found
