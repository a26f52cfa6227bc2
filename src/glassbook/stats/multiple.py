"""Many tests at once: what is left of each p where chance had many tries."""

from dataclasses import dataclass

import numpy as np

from glassbook.core.errors import InputError
from glassbook.stats.permutation import Alternative, check_test, toward
from glassbook.stats.relabelings import regroupings, sign_flips
from glassbook.stats.samples import Floats, Numbers, as_sample

_ROUNDING = 1e-12
_AT_ONCE = 1 << 18


def holm(p: Numbers) -> Floats:
    """Return the p values adjusted by Holm's step-down rule: those below a bound hold together, but for a chance so large.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 65-70. It
    controls the chance of even one false rejection, whatever the tests have in common. Raises InputError for what is no p.
    """
    given = _as_p_values(p)
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    return _in_place(np.maximum.accumulate(given[order] * factors), order)


def benjamini_hochberg(p: Numbers) -> Floats:
    """Return the p values adjusted so that among those below a bound the expected share of false ones is at most that bound.

    Benjamini and Hochberg 1995, "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57,
    289-300; for tests that are independent or depend positively. Raises InputError for what is no p.
    """
    given = _as_p_values(p)
    order = np.argsort(given, kind="stable")
    factors = len(given) / np.arange(1, len(given) + 1)
    rising = np.minimum.accumulate((given[order] * factors)[::-1])[::-1]
    # The rule can only raise a p; a product that rounds to a hair below it must not say otherwise.
    return _in_place(np.maximum(rising, given[order]), order)


@dataclass(frozen=True, slots=True)
class FamilyTest:
    """Several differences of means tested together; entry i of each list belongs to test i.

    `alone` is each p as if its test were the only one, `p` the chance that any of the tests comes out so far by chance.
    """

    differences: list[float]
    p: list[float]
    alone: list[float]
    n_permutations: int
    exact: bool


def permutation_test_family(
    ours: Numbers,
    theirs: Numbers,
    *,
    seed: int,
    paired: bool,
    alternative: Alternative = "two-sided",
    n_permutations: int = 10_000,
) -> FamilyTest:
    """Return the tests of mean(ours[i]) - mean(theirs[i]), each against the largest of all that the same exchanges give.

    Column j of every row is one item, and an exchange of its labels holds for all tests, so what the tests have in
    common is taken as it is: the single-step maximum of Westfall and Young 1993, "Resampling-based multiple testing".
    Differences are compared in units of their own spread, which no exchange changes. Raises InputError where
    rows differ in length.
    """
    check_test(alternative, n_permutations)
    a, b = _table(ours, "ours"), _table(theirs, "theirs")
    if len(a) != len(b) or (paired and a.shape != b.shape):
        raise InputError(
            f"tables of {a.shape} and {b.shape} values cannot be held against each other; give one row for each test in "
            "both, and for pairs the same items"
        )
    groups, exact = _paired(a, b, seed, n_permutations) if paired else _unpaired(a, b, seed, n_permutations)
    drawn = toward(groups, alternative)
    units = _units(a - b if paired else np.concatenate([a, b], axis=1), is_centered=not paired)
    differences = a.mean(axis=1) - b.mean(axis=1)
    seen = toward(differences / units, alternative) - _ROUNDING * _sizes(a, b) / units
    alone = [_share(drawn[:, i] >= one, exact) for i, one in enumerate(seen)]
    largest = drawn.max(axis=1)
    together = [_share(largest >= one, exact) for one in seen]
    return FamilyTest(differences.tolist(), together, alone, len(drawn), exact)


def _paired(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    """Return the differences, [permutation, test], under exchanges within items, in units of their spread."""
    gaps = a - b
    flips, exact = sign_flips(a.shape[1], seed, n_permutations)
    drawn = np.concatenate([signs @ gaps.T for signs in flips]) / a.shape[1]
    return drawn / _units(gaps, is_centered=False), exact


def _unpaired(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    """Return the differences, [permutation, test], under exchanges between the groups, in units of their spread."""
    both, n, m = np.concatenate([a, b], axis=1), a.shape[1], b.shape[1]
    groups, exact = regroupings(n, m, seed, n_permutations)
    rows = max(1, _AT_ONCE // (n * len(both)))
    parts = (members[first : first + rows] for members in groups for first in range(0, len(members), rows))
    chosen = np.concatenate([both[:, part].sum(axis=2).T for part in parts])
    drawn = chosen / n - (both.sum(axis=1) - chosen) / m
    return drawn / _units(both, is_centered=True), exact


def _units(values: Floats, is_centered: bool) -> Floats:
    """Return the spread of each row, which stays the same however labels are exchanged; 1 where there is none."""
    away = values - values.mean(axis=1, keepdims=True) if is_centered else values
    spread = np.sqrt((away**2).mean(axis=1))
    # What is left of equal numbers is rounding, and no unit.
    return np.where(spread > _ROUNDING * np.abs(values).max(axis=1), spread, 1.0)


def _sizes(a: Floats, b: Floats) -> Floats:
    return np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))


def _share(extreme: np.ndarray, exact: bool) -> float:
    """Return p: of all exchanges the share, of drawn ones with the observed one among them (Phipson and Smyth 2010)."""
    return float(extreme.mean() if exact else (extreme.sum() + 1) / (len(extreme) + 1))


def _table(rows: Numbers, whose: str) -> Floats:
    table = [as_sample(row, f"values of {whose} in test {number}") for number, row in enumerate(rows)]
    lengths = {len(row) for row in table}
    if len(lengths) != 1:
        raise InputError(
            f"the rows of {whose} have {sorted(lengths) or 'no'} items; give at least one test, and the same items in each"
        )
    return np.stack(table)


def _as_p_values(p: Numbers) -> Floats:
    given = as_sample(p, "p values")
    if ((given < 0) | (given > 1)).any():
        raise InputError(f"{given[(given < 0) | (given > 1)][0]:g} is no p value; give numbers from 0 to 1")
    return given


def _in_place(adjusted: Floats, order: np.ndarray) -> Floats:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1.0)
    return found
