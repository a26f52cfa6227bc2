"""The few items with the smallest keys in each of many groups, kept while items stream by.

What is kept depends on the items and not on how they were parted into batches, since keys are whole numbers that differ.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

NONE = np.int64(2**63 - 1)
"""The key of a place that is free."""

_ROW_BITS = 32
_GROUPS_AT_ONCE = 4096
_SIGN_FREE = 0x7FFF_FFFF


class Best:
    """So many places for each group; `keys` holds what is in them, in no order."""

    def __init__(self, n_groups: int, size: int) -> None:
        self.keys = np.full((n_groups, size), NONE)
        self._limits = np.full(n_groups, NONE if size else -1, np.int64)

    @property
    def size(self) -> int:
        """Return how many places a group has."""
        return self.keys.shape[1]

    def offer(
        self, groups: Int[NDArray[Any], " n"], keys: Int[NDArray[Any], " n"]
    ) -> tuple[Int[NDArray[Any], " kept"], Int[NDArray[Any], " kept"]]:
        """Keep what belongs to the best of its group; return which items those are, and the place that each has now."""
        items = (keys < self._limits[groups]).nonzero()[0]
        if not len(items):
            return items, items
        there, group_of = np.unique(groups[items], return_inverse=True)
        n_held = len(there) * self.size
        all_groups = np.concatenate([np.repeat(np.arange(len(there)), self.size), group_of])
        all_keys = np.concatenate([self.keys[there].ravel(), keys[items]])
        order = np.lexsort((all_keys, all_groups))
        sizes = np.bincount(all_groups)
        rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        # Of each group as many new ones come in as old ones go out, and both are in the order of the groups.
        coming = order[(rank < self.size) & (order >= n_held)]
        going = order[(rank >= self.size) & (order < n_held)]
        kept = items[coming - n_held]
        places = there[going // self.size] * self.size + going % self.size
        self.keys.reshape(-1)[places] = keys[kept]
        self._limits[there] = self.keys[there].max(1)
        return kept, places

    def clear(self, groups: Int[NDArray[Any], " n"]) -> None:
        """Free all places of some groups."""
        self.keys[groups] = NONE
        self._limits[groups] = NONE if self.size else -1


class Samples:
    """The items with the smallest keys of each group, and nothing but their keys."""

    def __init__(self, n_groups: int, size: int) -> None:
        self.keys = np.full((n_groups, size), NONE)
        self._limits = np.full(n_groups, NONE)

    def offer(self, groups: Int[NDArray[Any], " n"], keys: Int[NDArray[Any], " n"]) -> None:
        """Keep what belongs to the smallest of its group."""
        items = (keys < self._limits[groups]).nonzero()[0]
        order = items[np.lexsort((keys[items], groups[items]))]
        sizes = np.bincount(groups[order], minlength=len(self.keys))
        starts, there = np.cumsum(sizes) - sizes, sizes.nonzero()[0]
        for part in np.array_split(there, -(-len(there) // _GROUPS_AT_ONCE)) if len(there) else []:
            most = min(int(sizes[part].max()), self.keys.shape[1])
            places = starts[part, None] + np.arange(most)
            new = np.where(np.arange(most) < sizes[part, None], keys[order[places.clip(max=len(order) - 1)]], NONE)
            joined = np.concatenate([self.keys[part], new], 1)
            joined.partition(self.keys.shape[1] - 1, axis=1)
            self.keys[part] = joined[:, : self.keys.shape[1]]
            self._limits[part] = self.keys[part, -1]


def keys_of_values(values: Float[NDArray[Any], " n"], rows: Int[NDArray[Any], " n"]) -> Int[NDArray[Any], " n"]:
    """Return keys by which the largest of positive values is the first, and of equal ones the one with the smallest row."""
    # The bits of positive floats are in the order of their values.
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return _with_rows(_SIGN_FREE - bits, rows)


def keys_by_chance(rows: Int[NDArray[Any], " n"], seed: int) -> Int[NDArray[Any], " n"]:
    """Return keys in an order that is as good as random and the same for the same row and seed (SplitMix64)."""
    x = rows.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return _with_rows(((x ^ (x >> np.uint64(31))) >> np.uint64(33)).astype(np.int64), rows)


def _with_rows(first: Int[NDArray[Any], " n"], rows: Int[NDArray[Any], " n"]) -> Int[NDArray[Any], " n"]:
    return (first << _ROW_BITS) | (rows.astype(np.int64) & (2**_ROW_BITS - 1))
