"""A few whole contexts of a store with the features that are active in them: what one step of the pass works on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

_AT_ONCE = 1 << 15
"""Stretches that are looked up at a time."""


class Stretches(NamedTuple):
    """Tokens and activations around some places; -1 where there is no token of the same document."""

    tokens: Int[NDArray[Any], "n shown"]
    activations: Float[NDArray[Any], "n shown"]


@dataclass(frozen=True, slots=True)
class Text:
    """Tokens of some contexts, filled up on the right, and the document of each; `first` is the first context's number."""

    tokens: Int[NDArray[Any], "context pos"]
    documents: Int[NDArray[Any], "context pos"]
    lengths: Int[NDArray[Any], " context"]
    first: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Active features as a list sorted by feature and then by row: in which context, at which position, how strongly.

    `rows` are numbers of rows in the store, `contexts` places in `text`.
    """

    features: Int[NDArray[Any], " n"]
    rows: Int[NDArray[Any], " n"]
    contexts: Int[NDArray[Any], " n"]
    positions: Int[NDArray[Any], " n"]
    values: Float[NDArray[Any], " n"]
    text: Text

    def peaks(self) -> Int[NDArray[Any], " peaks"]:
        """Return for each feature and context where the feature is largest, the first place of equal ones."""
        if not len(self.features):
            return np.zeros(0, np.int64)
        changes = (np.diff(self.features) != 0) | (np.diff(self.contexts) != 0)
        starts = np.concatenate([[0], changes.nonzero()[0] + 1])
        group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(self.features))))
        at_largest = (self.values == np.maximum.reduceat(self.values, starts)[group]).nonzero()[0]
        return at_largest[np.unique(group[at_largest], return_index=True)[1]]

    def stretches(self, places: Int[NDArray[Any], " n"], before: int, after: int) -> Iterator[tuple[slice, Stretches]]:
        """Yield what lies around entries of the list, so many at a time, and which of `places` they are."""
        for start in range(0, len(places), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(places)))
            chosen = places[part]
            yield part, Stretches(self._tokens(chosen, before, after), self._activations(chosen, before, after))

    def _tokens(self, places: Int[NDArray[Any], " n"], before: int, after: int) -> Int[NDArray[Any], "n shown"]:
        contexts, positions = self.contexts[places, None], self.positions[places, None]
        wanted = positions + np.arange(-before, after + 1)
        inside = (wanted >= 0) & (wanted < self.text.lengths[contexts])
        wanted = wanted.clip(0, self.text.tokens.shape[1] - 1)
        inside &= self.text.documents[contexts, wanted] == self.text.documents[contexts, positions]
        return np.where(inside, self.text.tokens[contexts, wanted], -1)

    def _activations(self, places: Int[NDArray[Any], " n"], before: int, after: int) -> Float[NDArray[Any], "n shown"]:
        # Of one feature and context entries lie side by side, so a stretch's are among as many neighbors.
        around = (places[:, None] + np.arange(-before, after + 1)).clip(0, len(self.features) - 1)
        offsets = self.positions[around] - self.positions[places, None] + before
        same = (self.features[around] == self.features[places, None]) & (
            self.contexts[around] == self.contexts[places, None]
        )
        same &= (offsets >= 0) & (offsets <= before + after)
        found = np.zeros(around.shape, np.float32)
        item, _ = same.nonzero()
        found[item, offsets[same]] = self.values[around[same]]
        return found
