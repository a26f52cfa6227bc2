"""Intervals by resampling: over items, over pairs of items, and over seeds whose items are resampled in turn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.stats.intervals import Interval, check_level
from glassbook.stats.samples import Floats, Numbers, Statistic, as_sample, generator, mean, of_each_row

Method = Literal["bca", "percentile"]
Indices = NDArray[np.int64]
OfItems = Callable[[Indices], Floats]
_NORMAL = NormalDist()
_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class _Plan:
    """How an interval is made; raises InputError for what makes none."""

    level: float
    n_resamples: int
    seed: int
    method: str

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.n_resamples < 1:
            raise InputError(f"{self.n_resamples} resamples make no interval; ask for some thousands")
        if self.method not in get_args(Method):
            raise InputError(f"no bootstrap interval is called '{self.method}'; known: {', '.join(get_args(Method))}")

    @property
    def shares(self) -> Floats:
        """Return which shares of the resamples lie below the two ends."""
        return np.array([(1 - self.level) / 2, (1 + self.level) / 2])


def bootstrap(
    values: Numbers,
    statistic: Statistic = mean,
    level: float = 0.95,
    n_resamples: int = 10_000,
    *,
    seed: int,
    method: Method = "bca",
) -> Interval:
    """Return the statistic of the items with its bootstrap interval.

    The default is BCa (Efron 1987, "Better bootstrap confidence intervals", JASA 82, 171-185), whose ends err by O(1/n)
    where those of the `percentile` interval err by O(1/sqrt(n)): effects over a few dozen items are skewed, and BCa corrects
    for skewness and bias. Both are too narrow for few items (at 95 %, normal items are covered 90 % of the time with eight
    and 78 % with four). One item alone gives all numbers; equal items
    give an interval of no width, since resampling cannot see what did not happen. Raises InputError for NaN, infinities
    and no items.
    """
    row, plan = as_sample(values), _Plan(level, n_resamples, seed, method)
    return _interval(len(row), lambda items: of_each_row(statistic, row[items]), plan)


def bootstrap_difference(
    ours: Numbers,
    theirs: Numbers,
    statistic: Statistic = mean,
    level: float = 0.95,
    n_resamples: int = 10_000,
    *,
    seed: int,
    method: Method = "bca",
) -> Interval:
    """Return statistic(ours) - statistic(theirs) with its interval; item i of both is the same item, and they are drawn together.

    Raises InputError where the two differ in number.
    """
    a, b = as_sample(ours, "values of ours"), as_sample(theirs, "values of theirs")
    if len(a) != len(b):
        raise InputError(f"{len(a)} and {len(b)} values make no pairs; measure both on the same items, in one order")

    def of_items(items: Indices) -> Floats:
        return of_each_row(statistic, a[items]) - of_each_row(statistic, b[items])

    return _interval(len(a), of_items, _Plan(level, n_resamples, seed, method))


def bootstrap_two_level(
    values: Sequence[Numbers],
    statistic: Statistic = mean,
    level: float = 0.95,
    n_resamples: int = 10_000,
    *,
    seed: int,
    same_items: bool = True,
) -> Interval:
    """Return the mean over seeds of the statistic over `values[seed]`, with a percentile interval over seeds and items.

    Each resample draws seeds, then items (Davison and Hinkley 1997, section 3.8). With `same_items` column i is one item that
    every seed met, and one draw of items serves all seeds (the pigeonhole bootstrap of Owen 2007, Annals of Applied
    Statistics 1, 386-411); without, each drawn seed draws its own, and seeds may have different numbers of them. `n` is the
    number of seeds: with so few as three, the interval is too narrow (at 95 % it then covers about 82 % where
    seeds differ much more than items), so print every seed beside it.
    """
    plan = _Plan(level, n_resamples, seed, "percentile")
    rows = [as_sample(row, f"values of seed {number}") for number, row in enumerate(values)]
    if not rows:
        raise InputError("there are no seeds, so nothing can be said of them; give the values of at least one")
    estimate = float(np.mean([of_each_row(statistic, row[None])[0] for row in rows]))
    if same_items and len({len(row) for row in rows}) > 1:
        raise InputError(
            f"the seeds have {sorted({len(row) for row in rows})} items and so not the same ones; give same_items=False"
        )
    # One seed, or one item that all seeds share, says nothing of how another would have come out.
    if len(rows) == 1 or (same_items and len(rows[0]) == 1):
        return Interval(estimate, -math.inf, math.inf, level, len(rows))
    rng = generator(seed, "bootstrap over seeds and items")
    picks = rng.integers(0, len(rows), (n_resamples, len(rows)))
    drawn = (_shared_items if same_items else _own_items)(rows, picks, statistic, rng).mean(axis=1)
    low, high = np.quantile(drawn, plan.shares)
    return Interval(estimate, float(low), float(high), level, len(rows))


def _shared_items(rows: Sequence[Floats], picks: Indices, statistic: Statistic, rng: np.random.Generator) -> Floats:
    """Return the statistic of every picked seed, [resample, seed]: one draw of items a resample."""
    table = np.stack(rows)
    found = _resampled(table.shape[1], len(picks), rng, lambda items: of_each_row(statistic, table[:, items]).T)
    return np.take_along_axis(found, picks, axis=1)


def _own_items(rows: Sequence[Floats], picks: Indices, statistic: Statistic, rng: np.random.Generator) -> Floats:
    """Return the statistic of every picked seed, [resample, seed]: a draw of items for each."""
    found = np.empty(picks.shape)
    for number, row in enumerate(rows):
        mine = picks == number

        def of_items(items: Indices, row: Floats = row) -> Floats:
            return of_each_row(statistic, row[items])

        found[mine] = _resampled(len(row), int(mine.sum()), rng, of_items)
    return found


def _interval(n: int, of_items: OfItems, plan: _Plan) -> Interval:
    """Return the interval of a statistic of `n` items; `of_items` gives it for each row of chosen indices."""
    estimate = float(of_items(np.arange(n)[None])[0])
    if n == 1:
        return Interval(estimate, -math.inf, math.inf, plan.level, n)
    drawn = _resampled(n, plan.n_resamples, generator(plan.seed, "bootstrap over items"), of_items)
    shares = plan.shares
    if plan.method == "bca":
        shares = _corrected(shares, drawn, estimate, _left_out(n, of_items))
    low, high = np.quantile(drawn, shares)
    return Interval(estimate, float(low), float(high), plan.level, n)


def _corrected(shares: Floats, drawn: Floats, estimate: float, left_out: Floats) -> Floats:
    """Return which shares of the resamples lie below the ends of the BCa interval (Efron 1987)."""
    below = float((drawn < estimate).mean() + (drawn == estimate).mean() / 2)
    away = left_out.mean() - left_out
    spread = float((away**2).sum())
    if not 0 < below < 1 or spread <= 0:
        # No bias or skewness can be told: all resamples agree, or lie on one side.
        return shares
    bias = _NORMAL.inv_cdf(below)
    skew = float((away**3).sum()) / (6 * spread**1.5)
    ends = [bias + _NORMAL.inv_cdf(float(share)) for share in shares]
    if max(skew * end for end in ends) >= 1:
        return shares
    return np.array([_NORMAL.cdf(bias + end / (1 - skew * end)) for end in ends])


def _left_out(n: int, of_items: OfItems) -> Floats:
    """Return the statistic without each item in turn: the jackknife."""
    others = np.arange(n - 1)
    rows = max(1, _AT_ONCE // n)
    parts = [np.arange(first, min(first + rows, n)) for first in range(0, n, rows)]
    return np.concatenate([of_items(others + (others >= part[:, None])) for part in parts])


def _resampled(n: int, n_resamples: int, rng: np.random.Generator, of_items: OfItems) -> Floats:
    """Return what `of_items` makes of `n_resamples` draws of n items with replacement, a few million indices at a time."""
    rows = max(1, _AT_ONCE // n)
    counts = [min(rows, n_resamples - first) for first in range(0, n_resamples, rows)] or [0]
    return np.concatenate([of_items(rng.integers(0, n, (count, n))) for count in counts])
