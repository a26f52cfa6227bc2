"""How often chance alone does as well: permutation tests, and a rank among controls."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from glassbook.core.errors import InputError
from glassbook.stats.samples import Floats, Numbers, as_sample, generator

Alternative = Literal["two-sided", "greater", "less"]
_AT_ONCE = 1 << 21
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """The difference of means and the chance of one as extreme where labels mean nothing.

    `exact` says whether every one of the `n_permutations` was tried, or that many were drawn.
    """

    difference: float
    p: float
    n_permutations: int
    exact: bool


def permutation_test(
    ours: Numbers,
    theirs: Numbers,
    *,
    seed: int,
    paired: bool,
    alternative: Alternative = "two-sided",
    n_permutations: int = 10_000,
) -> PermutationTest:
    """Return the test of mean(ours) - mean(theirs) against the same numbers with their labels exchanged by chance.

    `paired` exchanges the two values of an item (the sign of their difference), else every value may fall to either side.
    All exchanges are tried where there are no more than `n_permutations`; else p = (b + 1) / (n + 1), which is never 0
    and never too small (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9, article 39).
    """
    if alternative not in get_args(Alternative):
        raise InputError(f"no alternative is called '{alternative}'; known: {', '.join(get_args(Alternative))}")
    if n_permutations < 1:
        raise InputError(f"{n_permutations} permutations test nothing; ask for some thousands")
    a, b = as_sample(ours, "values of ours"), as_sample(theirs, "values of theirs")
    exchanged = _sign_flips(a, b, seed, n_permutations) if paired else _regroupings(a, b, seed, n_permutations)
    values, exact = exchanged
    difference = float(a.mean() - b.mean())
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    extreme = _count_extreme(values, difference, alternative, _ROUNDING * size)
    p = extreme / len(values) if exact else (extreme + 1) / (len(values) + 1)
    return PermutationTest(difference, p, len(values), exact)


def _count_extreme(values: Floats, difference: float, alternative: Alternative, rounding: float) -> int:
    # Sums of the same numbers in another order may differ in their last bits, and then count as equal.
    if alternative == "greater":
        return int((values >= difference - rounding).sum())
    if alternative == "less":
        return int((values <= difference + rounding).sum())
    return int((np.abs(values) >= abs(difference) - rounding).sum())


def _sign_flips(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    if len(a) != len(b):
        raise InputError(
            f"{len(a)} and {len(b)} values make no pairs; measure both on the same items, or give paired=False"
        )
    differences, n = a - b, len(a)
    if n < 63 and 2**n <= n_permutations:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return signs @ differences / n, True
    rng, rows = generator(seed, "permutation", "paired"), max(1, _AT_ONCE // n)
    counts = [min(rows, n_permutations - first) for first in range(0, n_permutations, rows)]
    flipped = [(1 - 2 * rng.integers(0, 2, (count, n), dtype=np.int8)) @ differences for count in counts]
    return np.concatenate(flipped) / n, False


def _regroupings(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    both, n, m = np.concatenate([a, b]), len(a), len(b)
    if math.comb(n + m, n) <= n_permutations:
        chosen = both[np.array(list(combinations(range(n + m), n)))].sum(axis=1)
        return chosen / n - (both.sum() - chosen) / m, True
    rng, rows = generator(seed, "permutation", "two samples"), max(1, _AT_ONCE // (n + m))
    counts = [min(rows, n_permutations - first) for first in range(0, n_permutations, rows)]
    drawn = [rng.permuted(np.broadcast_to(both, (count, n + m)), axis=1)[:, :n].sum(axis=1) for count in counts]
    chosen = np.concatenate(drawn)
    return chosen / n - (both.sum() - chosen) / m, False


@dataclass(frozen=True, slots=True)
class Rank:
    """How a value stands among controls: how many of `n` it exceeds, and the chance `p` of standing so well as one of them."""

    beaten: int
    n: int
    p: float

    @property
    def share(self) -> float:
        """Return the share of the controls that the value exceeds, from 0 to 1."""
        return self.beaten / self.n


def rank_among(value: float, controls: Numbers) -> Rank:
    """Return the rank of `value` among controls, such as the effects of random directions; a tie is not beaten.

    p = (1 + how many controls do as well) / (1 + n) is exact where value and controls were drawn alike (Phipson and
    Smyth 2010): to fall below 0.05 takes at least 20 controls. Raises InputError for a value or control that is not finite.
    """
    others = as_sample(controls, "controls")
    one = float(as_sample([value], "value")[0])
    beaten = int((others < one).sum())
    return Rank(beaten, len(others), (1 + len(others) - beaten) / (1 + len(others)))
