"""Numbers over two axes, such as layer x strength, written in cells whose tint follows them."""

from collections.abc import Sequence
from typing import ClassVar

from markupsafe import Markup

from glassbook.views.markup import element, join, note, scroll_box
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell, spell_fixed
from glassbook.views.view import VIEWS, View, empty

# Above this share of the pure hue, ink on the tint would fall under the contrast that WCAG AA asks for.
_STRONGEST_TINT = 0.6


@VIEWS.add("heat-map")
class HeatMap(View, frozen=True, kw_only=True, tag="heat-map"):
    """A table tinted blue above and orange below `center`: a pair that color-blind readers tell apart."""

    compact: ClassVar[bool] = True

    row_axis: str
    column_axis: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[Number]]
    unit: str = ""
    center: float = 0.0
    decimals: int = 2

    def body(self) -> Markup:
        if not any(row for row in self.values):
            return empty("the map has no cells")
        reach = max(
            (abs(value - self.center) for row in self.values for value in row if is_drawable(value)), default=0.0
        )
        heads = [element("th", column, scope="col") for column in self.columns]
        top = element(
            "tr", element("td", class_="corner"), element("th", self.column_axis, scope="colgroup", colspan=len(heads))
        )
        below = element("tr", element("th", self.row_axis, scope="col", class_="axis"), *heads)
        body = [
            element("tr", element("th", name, scope="row"), *(self._cell(value, reach) for value in row))
            for name, row in zip(self.rows, self.values, strict=False)
        ]
        table = element("table", element("thead", top, below), element("tbody", *body), class_="heat")
        return join(scroll_box(table, self.title or "Heat map"), note(self._key(reach)))

    def _cell(self, value: Number, reach: float) -> Markup:
        if not is_drawable(value) or not reach:
            return element("td", spell(value) if not is_drawable(value) else spell_fixed(value, self.decimals))
        share = _STRONGEST_TINT * abs(value - self.center) / reach
        kind = "above" if value >= self.center else "below"
        return element("td", spell_fixed(value, self.decimals), class_=kind, style=f"--tint:{share:.1%}")

    def _key(self, reach: float) -> str:
        skipped = say_skipped(sum(not is_drawable(value) for row in self.values for value in row), "of the cells")
        tint = (
            f"Blue is above {spell(self.center)}, orange below; the strongest tint is {spell(reach, self.unit)} away."
        )
        return f"{tint} {skipped}".strip()
