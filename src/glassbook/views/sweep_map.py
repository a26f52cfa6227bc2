"""Effect beside its price over the same two axes: where a direction works, and where it only breaks the model."""

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from glassbook.views.markup import element, join, note, scroll_box
from glassbook.views.numbers import Number, is_drawable, spell, spell_fixed
from glassbook.views.view import VIEWS, View, empty

CellValue = float | str | None
"""A number, or the sentence that says why there is none; "NaN", "Infinity" and "-Infinity" are numbers."""

Place = tuple[int, int]
_STRONGEST_TINT = 0.6
_DEAREST = 2.0
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


@VIEWS.add("sweep-map")
class SweepMap(View, frozen=True, kw_only=True, tag="sweep-map"):
    """Two tables of numbers that share their axes: the effect, tinted around 0, and the cost, tinted from 1 upwards.

    `chosen` and `neighbors` are places (row, column), counted from 0; cells that cost more than `budget` have a corner cut.
    """

    row_axis: str
    column_axis: str
    rows: Sequence[str]
    columns: Sequence[str]
    effects: Sequence[Sequence[CellValue]]
    costs: Sequence[Sequence[CellValue]]
    effect: str
    unit: str = ""
    cost: str = "perplexity ratio"
    budget: Number = None
    chosen: Sequence[int] | None = None
    neighbors: Sequence[Sequence[int]] = ()

    def body(self) -> Markup:
        if not any(row for row in self.effects):
            return empty("the sweep has no cells")
        faults = self._faults()
        unit = f" ({self.unit})" if self.unit else ""
        reach = max((abs(value) for row in self.effects for value in row if is_drawable(value)), default=0.0)
        panels = [
            self._panel(f"{self.effect}{unit}", self.effects, faults, lambda value: _around_zero(value, reach)),
            self._panel(self.cost, self.costs, faults, _above_one),
        ]
        said = [note(f"{mark} {sentence}") for sentence, mark in faults.items()]
        return join(element("div", *panels, class_="panels"), note(self._key(reach)), *said)

    def _panel(
        self,
        name: str,
        values: Sequence[Sequence[CellValue]],
        faults: dict[str, str],
        tint: Callable[[float], tuple[str, float]],
    ) -> Markup:
        heads = [element("th", column, scope="col") for column in self.columns]
        axes = element("th", self.row_axis, scope="col", class_="axis")
        top = element(
            "tr", element("td", class_="corner"), element("th", self.column_axis, scope="colgroup", colspan=len(heads))
        )
        lines = [
            element(
                "tr",
                element("th", label, scope="row"),
                *(self._cell(value, (row, column), faults, tint) for column, value in enumerate(line)),
            )
            for row, (label, line) in enumerate(zip(self.rows, values, strict=False))
        ]
        head = element("thead", top, element("tr", axes, *heads))
        table = element("table", element("caption", name), head, element("tbody", *lines), class_="heat")
        return scroll_box(table, f"{self.title or 'Sweep'}: {name}")

    def _cell(
        self, value: CellValue, place: Place, faults: dict[str, str], tint: Callable[[float], tuple[str, float]]
    ) -> Markup:
        role = self._role(place)
        kinds = [role] if role else []
        kinds += ["over"] if self._is_over(place) else []
        heard = f" ({role})" if role else ""
        heard += " (over budget)" if self._is_over(place) else ""
        unseen = element("span", heard, class_="unseen") if heard else None
        if not is_drawable(value):
            shown = faults[value] if _is_fault(value) else spell(value)  # type: ignore[index, arg-type]
            return element("td", shown, unseen, class_=" ".join([*kinds, "fault"]))
        kind, share = tint(value)
        return element(
            "td", _digits(value), unseen, class_=" ".join([*kinds, kind]), style=f"--tint:{_STRONGEST_TINT * share:.1%}"
        )

    def _role(self, place: Place) -> str:
        if self.chosen and place == tuple(self.chosen):
            return "chosen"
        return "neighbor" if any(place == tuple(one) for one in self.neighbors) else ""

    def _is_over(self, place: Place) -> bool:
        row, column = place
        if not is_drawable(self.budget) or row >= len(self.costs) or column >= len(self.costs[row]):
            return False
        cost = self.costs[row][column]
        return cost == "Infinity" or (is_drawable(cost) and cost > self.budget)

    def _faults(self) -> dict[str, str]:
        """Return the mark of every sentence that stands in a cell, in reading order."""
        said = [value for panel in (self.effects, self.costs) for row in panel for value in row if _is_fault(value)]
        return {str(sentence): f"✗{number}" for number, sentence in enumerate(dict.fromkeys(said), start=1)}

    def _key(self, reach: float) -> str:
        parts = [f"Blue is above 0, orange below; the strongest tint is {spell(reach, self.unit)} away."]
        parts.append(f"The cost is 1 where nothing changes, and has its strongest tint at {_DEAREST:g} and above.")
        if is_drawable(self.budget):
            parts.append(f"A cut corner: over the budget of {spell(self.budget)}.")
        if self.chosen:
            parts.append(
                "Outlined: the chosen cell; dashed: its neighbors." if self.neighbors else "Outlined: the chosen cell."
            )
        return " ".join(parts)


def _around_zero(value: float, reach: float) -> tuple[str, float]:
    return ("above" if value >= 0 else "below"), (abs(value) / reach if reach else 0.0)


def _above_one(value: float) -> tuple[str, float]:
    share = math.log(max(value, 1.0)) / math.log(_DEAREST)
    return "dear", min(share, 1.0)


def _is_fault(value: CellValue) -> bool:
    return isinstance(value, str) and value not in _NOT_FINITE


def _digits(value: float) -> str:
    """Return a number short enough for a cell."""
    size = abs(value)
    return spell_fixed(value, 2 if size < 10 else 1 if size < 100 else 0) if size < 10_000 else spell(value)
