"""L0 against what is left unexplained: which dictionaries of a sweep no other beats in both, and how much each kind covers.

Covered is the share of the box from one active feature to as many as there are coordinates (on a logarithmic scale; with that
many nothing is compressed) and from FVU 0 to FVU 1 (what the mean alone leaves) in which some dictionary of the kind is at least
as good in both. The box is fixed by the activations' width, so no result can choose it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glassbook.core.errors import InputError
from glassbook.stats.pareto import hypervolume, non_dominated_sort
from glassbook.views.line_chart import LineChart, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """One dictionary: its group, such as its kind, its active features a token, and the share of the variance that is left."""

    name: str
    group: str
    l0: float
    fvu: float


@dataclass(frozen=True)
class SparsityFrontier:
    """The dictionaries of a sweep on activations of `width` coordinates; one without active features covers nothing."""

    points: Sequence[FrontierPoint]
    width: int

    def __post_init__(self) -> None:
        if self.width < 2:
            raise InputError(f"activations of {self.width} coordinates leave nothing to compress; give at least 2")
        for point in self.points:
            if not (math.isfinite(point.l0) and math.isfinite(point.fvu) and point.l0 >= 0):
                raise InputError(f"{point.name} has L0 {point.l0} and FVU {point.fvu}, which is no place on a frontier")

    @property
    def best(self) -> list[FrontierPoint]:
        """Return the dictionaries that no other beats in both, the sparsest first."""
        if not self.points:
            return []
        front = non_dominated_sort([[point.l0, point.fvu] for point in self.points])[0]
        return sorted((self.points[int(place)] for place in front), key=lambda point: (point.l0, point.fvu))

    @property
    def covered(self) -> dict[str, float]:
        """Return the covered share of the box of each group, the largest first."""
        groups: dict[str, list[FrontierPoint]] = {}
        for point in self.points:
            groups.setdefault(point.group, []).append(point)
        shares = {name: self._covered(points) for name, points in groups.items()}
        return dict(sorted(shares.items(), key=lambda pair: -pair[1]))

    def _covered(self, points: Sequence[FrontierPoint]) -> float:
        costs = [[math.log2(max(point.l0, 1.0)), max(point.fvu, 0.0)] for point in points if point.l0 > 0]
        corner = (math.log2(self.width), 1.0)
        return hypervolume(costs, corner) / corner[0] if costs else 0.0


def frontier_chart(frontier: SparsityFrontier, measured: str) -> LineChart:
    """Return a curve for each group; `measured` says on what."""
    groups: Mapping[str, list[FrontierPoint]] = {
        name: sorted((one for one in frontier.points if one.group == name), key=lambda one: one.l0)
        for name in frontier.covered
    }
    covered = "; ".join(f"{name} {share:.3f}" for name, share in frontier.covered.items())
    return LineChart(
        title="Quality at how many active features",
        caption=(
            f"Each point is a dictionary {measured}; lower and further left is better. Covered share of the box up to an L0 of "
            f"{frontier.width} and an FVU of 1: {covered}."
        ),
        series=[
            Series(name=name, x=[one.l0 for one in points], y=[one.fvu for one in points])
            for name, points in groups.items()
        ],
        x_label="active features a token (L0)",
        y_label="FVU",
        x_log=True,
    )
