"""Which features are active at the same tokens, told from samples of the tokens of each.

These are bottom-k sketches (Cohen and Kaplan 2007). Every token has a random key, the same for all features, and of each
feature the tokens with the smallest keys are kept. Below the last key of the shorter list both lists of two features are
complete, so that there the share of tokens with both among those with either is that of a random sample; where a feature has
fewer tokens than are kept, nothing is estimated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from glassbook.features.cards.best import NONE

_BLOCK_BYTES = 64 << 20
_AT_ONCE = 1 << 14

Pairs = tuple[tuple[int, float], ...]


def active_together(keys: Int[NDArray[Any], "n_features sampled"], listed: int, features: Sequence[int]) -> list[Pairs]:
    """Return for each of some features those that share most tokens with it: both active, as a share of either."""
    lists = _Lists(np.sort(keys, axis=1))
    n_features = len(keys)
    block = max(1, _BLOCK_BYTES // (8 * 4 * n_features))
    found: list[Pairs] = []
    for first in range(0, len(features), block):
        found += lists.nearest(np.array(features[first : first + block]), listed)
    return found


class _Lists:
    """The sorted keys of each feature, and for each token the features that have it."""

    def __init__(self, keys: Int[NDArray[Any], "n_features sampled"]) -> None:
        self.keys = keys
        self.sizes = (keys != NONE).sum(1)
        # Of a list that is full nothing is known beyond its last key.
        self.ends = keys[:, -1]
        features, places = (keys != NONE).nonzero()
        held = keys[features, places]
        order = held.argsort(kind="stable")
        _, token_of, counts = np.unique(held, return_inverse=True, return_counts=True)
        self.members, self.counts = features[order], counts
        self.starts = np.cumsum(counts) - counts
        self.tokens = np.zeros(keys.shape, np.int64)
        self.tokens[features, places] = token_of

    def nearest(self, features: Int[NDArray[Any], " block"], listed: int) -> list[Pairs]:
        """Return the entry of `active_together` for some features."""
        both = self._shared(features)
        block, others = self._candidates(features, both, listed)
        mine, common = features[block], both[block, others]
        either = self._below(mine, others) + self._below(others, mine) - common
        shares: Float[NDArray[Any], " pair"] = common / either
        order = np.lexsort((others, -shares, block))
        block, others, shares = block[order], others[order], shares[order]
        starts = np.searchsorted(block, np.arange(len(features)))
        stops = np.minimum(np.searchsorted(block, np.arange(len(features)), side="right"), starts + listed)
        return [
            tuple(zip(others[first:stop].tolist(), shares[first:stop].tolist(), strict=True))
            for first, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        ]

    def _shared(self, features: Int[NDArray[Any], " block"]) -> Int[NDArray[Any], "block n_features"]:
        """Return how many of the tokens that are kept some features have in common with each other one."""
        block, place = (self.keys[features] != NONE).nonzero()
        tokens = self.tokens[features[block], place]
        counts = self.counts[tokens]
        ends = np.cumsum(counts)
        inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        others = self.members[np.repeat(self.starts[tokens], counts) + inside]
        n_features = len(self.keys)
        flat = np.bincount(np.repeat(block, counts) * n_features + others, minlength=len(features) * n_features)
        both: Int[NDArray[Any], "block n_features"] = flat.reshape(len(features), n_features)
        both[np.arange(len(features)), features] = 0
        return both

    def _candidates(
        self, features: Int[NDArray[Any], " block"], both: Int[NDArray[Any], "block n_features"], listed: int
    ) -> tuple[Int[NDArray[Any], " pair"], Int[NDArray[Any], " pair"]]:
        """Return the pairs whose share may be among the largest of their feature, by bounds that are quick to find."""
        sizes, ends = self.sizes[features, None], self.ends[features, None]
        least = both / np.maximum(sizes + self.sizes - both, 1)
        # The list that ends first is complete up to its end, so that all of it counts.
        most = both / np.maximum(np.where(ends <= self.ends, sizes, self.sizes), 1)
        place = max(both.shape[1] - listed, 0)
        limits = np.partition(least, place, axis=1)[:, place, None]
        return ((most >= limits) & (both > 0)).nonzero()

    def _below(self, one: Int[NDArray[Any], " pair"], other: Int[NDArray[Any], " pair"]) -> Int[NDArray[Any], " pair"]:
        """Return how many tokens of one feature lie where the list of the other is complete."""
        found = self.sizes[one]
        cut = (self.ends[other] < self.ends[one]).nonzero()[0]
        for start in range(0, len(cut), _AT_ONCE):
            part = cut[start : start + _AT_ONCE]
            found[part] = (self.keys[one[part]] <= self.ends[other[part], None]).sum(1)
        return found
