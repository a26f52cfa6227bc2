"""The exchanges of labels that a permutation test tries: all there are where they are few, else as many as were asked for."""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.stats.samples import generator

_AT_ONCE = 1 << 21
Exchanges = tuple[Iterator[NDArray[Any]], bool]
"""Tables of exchanges, a row each, a few million numbers at a time; and whether they are all there are."""


def sign_flips(n: int, seed: int, n_wanted: int) -> Exchanges:
    """Return rows of n signs, 1 or -1: which pairs have their two values exchanged."""
    if n < 63 and 2**n <= n_wanted:
        return iter([1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)]), True
    rng = generator(seed, "permutation", "paired")
    return ((1 - 2 * rng.integers(0, 2, (count, n), dtype=np.int8)) for count in _counts(n, n_wanted)), False


def regroupings(n: int, m: int, seed: int, n_wanted: int) -> Exchanges:
    """Return rows of n indices out of n + m: which values fall to the first of two groups."""
    if math.comb(n + m, n) <= n_wanted:
        return iter([np.array(list(combinations(range(n + m), n)))]), True
    rng, everyone = generator(seed, "permutation", "two samples"), np.arange(n + m)
    counts = _counts(n + m, n_wanted)
    return (rng.permuted(np.broadcast_to(everyone, (count, n + m)), axis=1)[:, :n] for count in counts), False


def _counts(n: int, n_wanted: int) -> list[int]:
    rows = max(1, _AT_ONCE // n)
    return [min(rows, n_wanted - first) for first in range(0, n_wanted, rows)]
