"""Sets of choices with several costs: which are worth having, how much they cover, and whose set is better."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glassbook.core.errors import InputError
from glassbook.stats.intervals import Interval, check_level
from glassbook.stats.samples import Floats, Numbers, generator

Dominance = Literal["ours dominate", "theirs dominate", "neither dominates"]


def non_dominated_sort(points: Numbers) -> list[list[int]]:
    """Return the indices of the points, front by front; every objective is a cost, so negate what should be large.

    A point dominates another where it is nowhere worse and somewhere better. The first front is dominated by none, each
    later one only by points of the fronts before it (Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Transactions on Evolutionary Computation 6, 182-197, section III.A). Raises InputError for NaN and infinity.
    """
    table = as_points(points)
    no_worse = np.all(table[:, None] <= table[None], axis=2)
    dominates = no_worse & ~no_worse.T
    n_above, left = dominates.sum(axis=0), np.ones(len(table), dtype=bool)
    fronts = []
    while left.any():
        front = left & (n_above == 0)
        fronts.append(np.flatnonzero(front).tolist())
        left &= ~front
        n_above = n_above - dominates[front].sum(axis=0)
    return fronts


def crowding_distance(points: Numbers) -> Floats:
    """Return for each point of one front how far its neighbors lie apart, summed over objectives; infinity at the ends.

    Each objective is measured in units of its range (Deb et al. 2002, section III.B). Raises InputError for NaN and infinity.
    """
    table = as_points(points)
    distance = np.zeros(len(table))
    for values in table.T:
        order = np.argsort(values, kind="stable")
        width = values[order[-1]] - values[order[0]] if len(values) else 0.0
        if width > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / width
        distance[order[:1]] = distance[order[-1:]] = math.inf
    return distance


def hypervolume(points: Numbers, reference: Numbers) -> float:
    """Return the volume of all that the points dominate up to the reference point; every objective is a cost.

    Zitzler and Thiele 1998. Two objectives are swept once; more are cut into slices along the last one. Points that are not
    better than the reference in every objective add nothing. Raises InputError where the two differ in dimension.
    """
    corner = np.asarray(reference, dtype=np.float64)
    table = as_points(points)
    if corner.ndim != 1 or not corner.size or not np.isfinite(corner).all():
        raise InputError(f"a reference point of {reference} bounds nothing; give one finite number for each objective")
    if not len(table):
        return 0.0
    if table.shape[1] != len(corner):
        raise InputError(
            f"points of {table.shape[1]} objectives have no volume up to a reference of {len(corner)}; give as many"
        )
    return _volume(table[np.all(table < corner, axis=1)], corner)


def _volume(table: Floats, corner: Floats) -> float:
    if not len(table):
        return 0.0
    if table.shape[1] == 1:
        return float(corner[0] - table.min())
    if table.shape[1] == 2:
        return _area(table, corner)
    table = table[np.argsort(table[:, -1], kind="stable")]
    ends = np.append(table[1:, -1], corner[-1])
    slices = ((depth, count) for count, depth in enumerate(ends - table[:, -1], start=1) if depth > 0)
    return float(sum(depth * _volume(table[:count, :-1], corner[:-1]) for depth, count in slices))


def _area(table: Floats, corner: Floats) -> float:
    first, second = table[np.lexsort((table[:, 1], table[:, 0]))].T
    lowest = np.minimum.accumulate(second)
    return float((np.append(first[1:], corner[0]) - first) @ (corner[1] - lowest))


@dataclass(frozen=True, slots=True)
class FrontierComparison:
    """The mean difference of hypervolumes, ours minus theirs, under each reference point, and what follows from both."""

    near: Interval
    far: Interval

    @property
    def verdict(self) -> Dominance:
        """Return who dominates: only where both intervals exclude 0 on the same side."""
        if self.near.lies_above(0) and self.far.lies_above(0):
            return "ours dominate"
        if self.near.lies_below(0) and self.far.lies_below(0):
            return "theirs dominate"
        return "neither dominates"


@dataclass(frozen=True, slots=True)
class FrontierTest:
    """Two reference points, to be written down before any frontier is seen, and how frontiers are then compared.

    The volume of a frontier depends on where the corner is put: a far corner weighs its ends, a near one its
    middle. A difference that only one of them sees is no dominance. `near` must be better than `far` in every objective.
    """

    near: tuple[float, ...]
    far: tuple[float, ...]
    level: float = 0.95
    n_resamples: int = 2_000

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.n_resamples < 1:
            raise InputError(f"{self.n_resamples} resamples make no interval; ask for some thousands")
        corners = np.array([self.near, self.far]) if len(self.near) == len(self.far) else np.full((2, 1), np.nan)
        if not corners.size or not np.isfinite(corners).all() or not (corners[0] < corners[1]).all():
            raise InputError(
                f"{self.near} and {self.far} are no near and far reference point; give finite numbers, the near ones below "
                "the far ones in every objective"
            )

    def compare(self, ours: Numbers, theirs: Numbers, *, seed: int) -> FrontierComparison:
        """Return the comparison of two methods over seeds; seed i of both is the same seed, and they are drawn together.

        `ours[i]` are the points of seed i: [point, objective], or [point, objective, item] where a point's objectives are
        means over items. Items are then the same for all seeds and both methods, and are resampled too. With so few as three
        seeds the intervals are too narrow, so print every seed beside them. Raises InputError for another shape and for
        numbers that are not finite.
        """
        a, b = [_as_items(one, "ours") for one in ours], [_as_items(one, "theirs") for one in theirs]
        n_items = {one.shape[2] for one in (*a, *b)}
        if not a or len(a) != len(b) or len(n_items) != 1:
            raise InputError(
                f"{len(a)} seeds of ours and {len(b)} of theirs with {sorted(n_items)} items cannot be paired; run both on "
                "the same seeds and items"
            )
        n, rng = n_items.pop(), generator(seed, "bootstrap of frontiers")
        draws = rng.integers(0, n, (self.n_resamples, n)) if n > 1 else np.zeros((0, 1), dtype=np.int64)
        picks = rng.integers(0, len(a), (self.n_resamples, len(a)))
        near, far = (self._interval(a, b, corner, draws, picks) for corner in (self.near, self.far))
        return FrontierComparison(near, far)

    def _interval(
        self, a: list[Floats], b: list[Floats], corner: tuple[float, ...], draws: np.ndarray, picks: np.ndarray
    ) -> Interval:
        """Return the mean difference over seeds with its percentile interval over drawn seeds and, where given, items."""

        def differences(items: np.ndarray | slice) -> list[float]:
            return [
                hypervolume(x[:, :, items].mean(axis=2), corner) - hypervolume(y[:, :, items].mean(axis=2), corner)
                for x, y in zip(a, b, strict=True)
            ]

        seen = np.array(differences(slice(None)))
        if len(a) == 1:
            return Interval(float(seen.mean()), -math.inf, math.inf, self.level, 1)
        table = np.array([differences(items) for items in draws]) if len(draws) else np.tile(seen, (len(picks), 1))
        low, high = np.quantile(
            np.take_along_axis(table, picks, axis=1).mean(axis=1), [(1 - self.level) / 2, (1 + self.level) / 2]
        )
        return Interval(float(seen.mean()), float(low), float(high), self.level, len(a))


def as_points(points: Numbers) -> Floats:
    """Return points as [point, objective]; raise InputError for another shape, NaN and infinity."""
    table = np.asarray(points, dtype=np.float64)
    if not table.size:
        return np.zeros((0, 1))
    if table.ndim != 2 or not np.isfinite(table).all():
        raise InputError(
            f"points of shape {table.shape} cannot be compared; give one row of finite numbers for each, a cost a column"
        )
    return table


def _as_items(points: Numbers, whose: str) -> Floats:
    table = np.asarray(points, dtype=np.float64)
    if table.ndim == 2:
        table = table[:, :, None]
    if table.ndim != 3 or not table.size or not np.isfinite(table).all():
        raise InputError(
            f"points of {whose} have shape {table.shape} or are not finite; give [point, objective] or [point, objective, item]"
        )
    return table
