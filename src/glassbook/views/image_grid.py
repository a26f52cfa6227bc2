"""Small gray pictures in rows and columns: samples, reconstructions, walks through a code; drawn without any image file."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from glassbook.views.markup import element, join, note, scroll_box
from glassbook.views.numbers import say_skipped
from glassbook.views.view import VIEWS, View, empty

_DIGITS = "0123456789abcdef"
_LARGEST = 128
_DRAWN = 400


@VIEWS.add("image-grid")
class ImageGrid(View, frozen=True, kw_only=True, tag="image-grid"):
    """Pictures of `width` x `height` pixels, a row of them for each of `rows`.

    A picture is a string with one hexadecimal digit a pixel, row by row, 0 black to f white (`to_digits` writes it); `what` is
    the word for one picture. Pictures look the same by day and by night, on a ground of their own.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    images: Sequence[Sequence[str]]
    width: int
    height: int
    what: str = "picture"
    row_axis: str = ""
    column_axis: str = ""

    def body(self) -> Markup:
        if not any(row for row in self.images):
            return empty("the grid has no pictures")
        lines = [self._line(place, row) for place, row in enumerate(self.images)]
        head = element("thead", self._head()) if any(self.columns) or self.column_axis else None
        table = element("table", head, element("tbody", *lines), class_="images")
        return join(scroll_box(table, self.title or "Pictures"), note(self._key()))

    def _head(self) -> Markup:
        named = any(self.rows) or bool(self.row_axis)
        corner = [element("th", self.row_axis, scope="col", class_="axis")] if named else []
        return element("tr", *corner, *(element("th", name, scope="col") for name in self.columns))

    def _line(self, place: int, images: Sequence[str]) -> Markup:
        name = self.rows[place] if place < len(self.rows) else ""
        head = [element("th", name, scope="row")] if any(self.rows) or self.row_axis else []
        room = max(_DRAWN - sum(len(row) for row in self.images[:place]), 0)
        cells = [element("td", self._picture(image, name, column)) for column, image in enumerate(images[:room])]
        return element("tr", *head, *cells)

    def _picture(self, image: str, row: str, column: int) -> Markup:
        """Return one picture as runs of equal pixels, a path for each shade, or a word where it is none."""
        if not self._is_drawable(image):
            return element("span", "not a picture", class_="note")
        place = self.columns[column] if column < len(self.columns) and self.columns[column] else f"column {column + 1}"
        said = ", ".join(part for part in (self.what, row, place) if part)
        shades = [
            element("path", d=path, stroke=f"#{digit * 6}") for digit, path in self._runs(image).items() if digit != "0"
        ]
        ground = element("rect", width=self.width, height=self.height, fill="#000")
        drawn = element("g", *shades, transform="translate(0 0.5)")
        return element(
            "svg", ground, drawn, viewBox=f"0 0 {self.width} {self.height}", role="img", aria_label=said, class_="image"
        )

    def _runs(self, image: str) -> dict[str, str]:
        """Return for each shade the path of its runs, from left to right and from top to bottom."""
        paths: dict[str, str] = {}
        for y in range(self.height):
            x = 0
            for digit, run in groupby(image[y * self.width : (y + 1) * self.width]):
                length = len(list(run))
                paths[digit] = f"{paths.get(digit, '')}M{x} {y}h{length}"
                x += length
        return paths

    def _is_drawable(self, image: str) -> bool:
        fits = 0 < self.width <= _LARGEST and 0 < self.height <= _LARGEST and len(image) == self.width * self.height
        return fits and all(digit in _DIGITS for digit in image)

    def _key(self) -> str:
        wrong = sum(not self._is_drawable(image) for row in self.images for image in row)
        n = sum(len(row) for row in self.images)
        left = f"The first {_DRAWN} of {n} pictures are drawn." if n > _DRAWN else ""
        size = f"Each {self.width} × {self.height} pixels in 16 shades, black to white."
        axis = f"From left to right: {self.column_axis}." if self.column_axis else ""
        return " ".join(part for part in (axis, size, left, say_skipped(wrong, "of the pictures")) if part)


def to_digits(pixels: Any) -> str:
    """Return a picture, numbers from 0 (black) to 1 (white) in rows, as one hexadecimal digit a pixel."""
    rows = pixels.tolist() if hasattr(pixels, "tolist") else pixels
    flat = [value for row in rows for value in (row if isinstance(row, Sequence) else [row])]
    return "".join(_DIGITS[round(15 * min(max(float(value), 0.0), 1.0))] for value in flat)
