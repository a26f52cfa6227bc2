"""Effect against its price, a point a choice: what one would take, at which cost, beside prompting and random directions."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from glassbook.views.markup import coordinate, data_table, element, fold, join, note
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell
from glassbook.views.scales import Frame, Scale, fit_scale, label, marker, stretched, threshold
from glassbook.views.view import VIEWS, View, empty, plain

# Beyond so many times the budget's own distance from 1, what a point costs no longer matters: it stands at the edge.
_BUDGETS_SHOWN = 6
_UNBOUNDED, _NARROWEST = 3.0, 1.02
_MARGIN = 0.04


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One choice: its effect, and its cost as a ratio that is 1 where nothing changes."""

    name: str
    effect: Number
    cost: Number

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))

    @property
    def is_drawable(self) -> bool:
        """Return whether the point has a place on paper."""
        return is_drawable(self.effect) and is_drawable(self.cost)


@VIEWS.add("frontier")
class Frontier(View, frozen=True, kw_only=True, tag="frontier"):
    """`frontier` are the indices of the points that no other dominates, from the cheapest on; `chosen` is one index.

    Prompting that has no cost in the same measure is a line at its effect.
    """

    points: Sequence[Point]
    frontier: Sequence[int]
    effect: str
    unit: str = ""
    cost: str = "perplexity ratio"
    budget: Number = None
    chosen: int | None = None
    prompting: Point | None = None
    randoms: Sequence[Point] = ()

    def body(self) -> Markup:
        if not any(point.is_drawable for point in self.points):
            return empty("no point has a finite effect and cost")
        unit = f" ({self.unit})" if self.unit else ""
        effects = fit_scale([point.effect for point in self._all() if is_drawable(point.cost)])
        frame = Frame(self._costs(), effects, self.cost, f"{self.effect}{unit}")
        drawing = frame.draw(
            join(self._path(frame), *self._marks(frame), *self._thresholds(frame), self._name(frame)), self._summary()
        )
        finding = element("p", self._summary(), class_="finding")
        return join(self._legend(), drawing, finding, note(self._remarks()), self._numbers())

    def _all(self) -> list[Point]:
        return [*self.points, *self.randoms, *([self.prompting] if self.prompting else [])]

    def _dearest(self) -> float:
        """Return the cost at which points are stopped, so that those within the budget have room."""
        shown = 1 + _BUDGETS_SHOWN * (self.budget - 1) if is_drawable(self.budget) else _UNBOUNDED
        chosen = self._chosen()
        return max(shown, _NARROWEST, chosen.cost if chosen and is_drawable(chosen.cost) else 0.0)

    def _costs(self) -> Scale:
        drawn = [min(point.cost, self._dearest()) for point in self._all() if is_drawable(point.cost)]
        low, high = min([*drawn, 1.0]), max([*drawn, self.budget if is_drawable(self.budget) else 1.0])
        return fit_scale([low - _MARGIN * (high - low), high], tight=True)

    def _place(self, frame: Frame, point: Point) -> tuple[float, float] | None:
        """Return where a point stands in percent, at the right edge where it costs more than is shown."""
        if not is_drawable(point.effect) or not is_drawable(point.cost):
            return None
        return frame.point(min(point.cost, frame.x.high), point.effect)

    def _along(self) -> list[Point]:
        inside = [index for index in self.frontier if 0 <= index < len(self.points)]
        return [self.points[index] for index in inside]

    def _chosen(self) -> Point | None:
        return self.points[self.chosen] if self.chosen is not None and 0 <= self.chosen < len(self.points) else None

    def _path(self, frame: Frame) -> Markup | None:
        path = [place for point in self._along() if (place := self._place(frame, point))]
        corners = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in path)
        line = element("polyline", points=corners, class_="curve series-0", vector_effect="non-scaling-stroke")
        return stretched(line) if len(path) > 1 else None

    def _thresholds(self, frame: Frame) -> list[Markup]:
        drawn = []
        if is_drawable(self.budget):
            drawn.append(threshold(frame, f"budget {spell(self.budget)}", x=self.budget))
        only = self.prompting
        if (
            only
            and is_drawable(only.effect)
            and not is_drawable(only.cost)
            and frame.y.low <= only.effect <= frame.y.high
        ):
            drawn.append(threshold(frame, only.name, y=only.effect))
        return drawn

    def _marks(self, frame: Frame) -> list[Markup]:
        along, chosen = self._along(), self._chosen()
        groups = [(point, "dot", "random") for point in self.randoms]
        groups += [(point, "ring", "cell") for point in self.points if point not in along and point != chosen]
        groups += [(point, "circle", "ours") for point in along if point != chosen]
        groups += [(self.prompting, "square", "prompt")] if self.prompting else []
        groups += [(chosen, "diamond", "ours")] if chosen else []
        marks = []
        for point, shape, kind in groups:
            if place := self._place(frame, point):
                beyond = is_drawable(point.cost) and point.cost > frame.x.high
                marks.append(marker("right" if beyond else shape, *place, kind, _say(point, self.unit)))
        return marks

    def _name(self, frame: Frame) -> Markup | None:
        chosen = self._chosen()
        place = self._place(frame, chosen) if chosen else None
        return label(chosen.name, *place, above=place[1] > 85, kind="strong") if chosen and place else None

    def _legend(self) -> Markup:
        shown = [("diamond", "ours", "the chosen cell")] if self._chosen() else []
        shown += [("circle", "ours", "cells that no other dominates"), ("ring", "cell", "other cells")]
        shown += [("dot", "random", "what random directions chose")] if self.randoms else []
        shown += [("square", "prompt", self.prompting.name)] if self.prompting and self.prompting.is_drawable else []
        shown += [("right", "cell", "dearer than is shown")] if self._beyond() else []
        return element("ul", *(_key(*one) for one in shown), class_="legend")

    def _beyond(self) -> int:
        high = self._costs().high
        return sum(is_drawable(point.cost) and point.cost > high for point in self._all())

    def _summary(self) -> str:
        n = len(self.points)
        said = f"{n} cell{'s' if n != 1 else ''}"
        if is_drawable(self.budget):
            within = sum(is_drawable(point.cost) and point.cost <= self.budget for point in self.points)
            said += f", {within} within the budget of {spell(self.budget)}"
        chosen = self._chosen()
        return f"{said}; chosen: {_say(chosen, self.unit)}." if chosen else f"{said}; none was chosen."

    def _remarks(self) -> str:
        beyond, skipped = self._beyond(), sum(not point.is_drawable for point in (*self.points, *self.randoms))
        stopped = f"{beyond} of the points cost more than {spell(self._costs().high)} and stand at the right edge."
        return " ".join(part for part in (stopped if beyond else "", say_skipped(skipped, "of the points")) if part)

    def _numbers(self) -> Markup:
        along = self._along()
        columns = ("What", f"{self.effect}{f' ({self.unit})' if self.unit else ''}", self.cost, "dominated")
        rows = [(one.name, spell(one.effect), spell(one.cost), "no" if one in along else "yes") for one in self.points]
        others = [*([self.prompting] if self.prompting else []), *self.randoms]
        rows += [(one.name, spell(one.effect), spell(one.cost), "—") for one in others]
        return fold("The numbers", data_table(columns, rows, f"Numbers of {self.title}"))


def _say(point: Point, unit: str) -> str:
    return f"{point.name}, effect {spell(point.effect, unit)} at a cost of {spell(point.cost)}"


def _key(shape: str, kind: str, name: str) -> Markup:
    swatch = element("svg", marker(shape, 50, "7", kind, ""), width="14", height="14", aria_hidden="true")
    return element("li", swatch, name)
