"""A store read once from its beginning to its end, in parts of whole contexts that fit into a bounded memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from glassbook.activations.store.shards import MappedShard
from glassbook.activations.store.store import ActivationStore
from glassbook.core.errors import MemoryLimitError
from glassbook.core.sites import Site
from glassbook.features.cards.chunk import Chunk, Text
from glassbook.features.cards.collecting import Collector
from glassbook.features.cards.settings import CardSettings
from glassbook.features.dictionary import Dictionary
from glassbook.features.listing import CHUNK, list_active

FIRST_ROWS = 2048
"""Rows of the first part, which tells how many features are active."""
MOST_ROWS = 1 << 16

_ENTRY_BYTES = 160
"""What an active feature takes while it is sorted and counted."""
_FIXED_BYTES = 250 << 20
"""What looking up stretches of text, and products with the decoder, the unembedding and the neurons take in any case."""
_SPARE = 1.25


class Room:
    """How many rows fit into memory at a time; raises MemoryLimitError where not even the cards do."""

    def __init__(self, dictionary: Dictionary, settings: CardSettings) -> None:
        n_features = dictionary.n_features
        needed = Collector.bytes_for(n_features, settings) + _FIXED_BYTES
        needed += 2 * CHUNK * n_features * torch.float32.itemsize
        self._free, self._row_bytes = settings.memory_bytes - needed, 2 * dictionary.d_in * torch.float32.itemsize
        if self._free < FIRST_ROWS * self._row_bytes:
            least = needed + FIRST_ROWS * self._row_bytes
            raise MemoryLimitError(
                f"cards of {n_features:,} features take {least / 1e6:,.0f} MB to make and memory_bytes allows "
                f"{settings.memory_bytes / 1e6:,.0f}; allow more, or ask for fewer examples, shorter ones or a smaller sampled"
            )
        self.rows = FIRST_ROWS

    def learn(self, n_entries: int, n_rows: int) -> None:
        """Take as many rows at a time as have room, to judge by some that were read."""
        each = self._row_bytes + _SPARE * _ENTRY_BYTES * n_entries / max(n_rows, 1)
        self.rows = int(min(max(self._free / each, 1), MOST_ROWS))


def read_chunks(
    dictionary: Dictionary, store: ActivationStore, site: Site, settings: CardSettings
) -> Iterator[tuple[Chunk, int]]:
    """Yield the active features of all of a store in the order of the harvest, with the number of rows of each part."""
    room, shards = Room(dictionary, settings), store.shards
    for number in range(len(shards.shards)):
        shard = shards[number]
        # How many rows there are up to the end of each context.
        ends = np.searchsorted(shard.row_context.numpy(), np.arange(len(shard.lengths)), side="right")
        first = (int(shards.row_starts[number]), int(shards.context_starts[number]))
        context, row = 0, 0
        while context < len(ends):
            stop = max(int(np.searchsorted(ends, row + room.rows, side="right")), context + 1)
            rows, contexts = slice(row, int(ends[stop - 1])), slice(context, stop)
            chunk = _chunk(dictionary, shard.values[site][rows], _Part(shard, rows, contexts, *first))
            context, row = stop, rows.stop
            room.learn(len(chunk.features), rows.stop - rows.start)
            yield chunk, rows.stop - rows.start
        shard.let_go()


class _Part:
    """Rows and contexts of a shard, and which rows and contexts of the store these are."""

    def __init__(self, shard: MappedShard, rows: slice, contexts: slice, first_row: int, first_context: int) -> None:
        self.first_row = first_row + rows.start
        self.contexts = shard.row_context[rows].numpy().astype(np.int64) - contexts.start
        self.positions = shard.row_position[rows].numpy().astype(np.int64)
        tokens, documents, lengths = (part[contexts].numpy() for part in (shard.tokens, shard.documents, shard.lengths))
        self.text = Text(tokens, documents, lengths, first_context + contexts.start)


def _chunk(dictionary: Dictionary, values: Tensor, part: _Part) -> Chunk:
    """Return what is active in some rows, sorted by feature."""
    found = list_active(dictionary, values.to(dictionary.encoder.device, torch.float32))
    rows, features, activations = (one.cpu().numpy() for one in found)
    order = _by_feature(features, dictionary.n_features)
    rows = rows[order]
    return Chunk(
        features=features[order],
        rows=rows + part.first_row,
        contexts=part.contexts[rows],
        positions=part.positions[rows],
        values=activations[order],
        text=part.text,
    )


def _by_feature(features: Int[NDArray[Any], " n"], n_features: int) -> Int[NDArray[Any], " n"]:
    """Return the order by feature in which rows keep theirs."""
    # Numbers of two bytes are sorted digit by digit, many times faster than any others.
    small = features.astype(np.uint16) if n_features <= 1 << 16 else features
    return small.argsort(kind="stable")
