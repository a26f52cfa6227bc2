"""Rows and columns, with units under the heads and notes beneath."""

from collections.abc import Sequence

from markupsafe import Markup

from glassbook.views.markup import element, join, note, scroll_box
from glassbook.views.numbers import spell
from glassbook.views.view import VIEWS, View, empty

Cell = str | bool | int | float | None


@VIEWS.add("table")
class Table(View, frozen=True, kw_only=True, tag="table"):
    """A table whose first column names the rows; numbers are spelled with three or four digits."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    units: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def body(self) -> Markup:
        if not self.rows:
            return join(empty("the table has no rows"), *map(note, self.notes))
        units = [*(self.units or ()), *[""] * len(self.columns)]
        heads = [
            self._head(index, name, unit) for index, (name, unit) in enumerate(zip(self.columns, units, strict=False))
        ]
        lines = [element("tr", *(self._cell(index, cell) for index, cell in enumerate(row))) for row in self.rows]
        table = element("table", element("thead", element("tr", *heads)), element("tbody", *lines))
        return join(scroll_box(table, self.title or "Table"), *map(note, self.notes))

    def _head(self, index: int, name: str, unit: str) -> Markup:
        shown = element("span", unit, class_="unit") if unit else None
        return element("th", name, shown, scope="col", class_="number" if self._is_numeric(index) else None)

    def _cell(self, index: int, cell: Cell) -> Markup:
        if index == 0:
            return element("th", spell_cell(cell), scope="row")
        return element("td", spell_cell(cell), class_="number" if self._is_numeric(index) else None)

    def _is_numeric(self, index: int) -> bool:
        column = [row[index] for row in self.rows if index < len(row)]
        return index > 0 and all(cell is None or is_number(cell) for cell in column)


def is_number(cell: Cell) -> bool:
    """Return whether a cell holds a number, or the word that stands for one that JSON cannot write."""
    return (isinstance(cell, int | float) and not isinstance(cell, bool)) or cell in ("NaN", "Infinity", "-Infinity")


def spell_cell(cell: Cell) -> str:
    """Return a cell as text: yes or no, a number in digits or words, or the text itself."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if cell is None or isinstance(cell, int | float):
        return spell(cell)
    return spell(float(cell)) if is_number(cell) else cell
