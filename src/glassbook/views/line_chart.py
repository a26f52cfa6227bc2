"""Curves over a common axis, with their uncertainty as bands."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from markupsafe import Markup

from glassbook.views.markup import coordinate, data_table, element, fold, join, note
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell
from glassbook.views.scales import Frame, Scale, fit_log_scale, fit_scale, is_positive, marker, stretched, threshold
from glassbook.views.view import VIEWS, View, empty, plain

_STYLES = 6
_MARKERS = ("circle", "square", "diamond", "up", "down", "ring")
_MARKERS_UP_TO = 24


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One curve: y over x, and where it is known a band from `low` to `high`."""

    name: str
    x: Sequence[Number]
    y: Sequence[Number]
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))

    def points(self) -> list[tuple[float, float]]:
        """Return the points that can be drawn, in order."""
        return [(x, y) for x, y in zip(self.x, self.y, strict=False) if is_drawable(x) and is_drawable(y)]

    def stretches(self) -> list[list[tuple[float, float]]]:
        """Return runs of neighboring points that can be drawn, so that a gap in the data is a gap in the line."""
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(self.x, self.y, strict=False):
            if is_drawable(x) and is_drawable(y):
                runs[-1].append((x, y))
            elif runs[-1]:
                runs.append([])
        return [run for run in runs if run]

    def band(self) -> list[tuple[float, float, float]]:
        """Return (x, low, high) wherever all three are finite."""
        rows = zip(self.x, self.low or (), self.high or (), strict=False)
        return [(x, low, high) for x, low, high in rows if is_drawable(x) and is_drawable(low) and is_drawable(high)]


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """A line across the chart at one x or at one y, such as where coherence breaks or a budget ends."""

    name: str
    x: Number = None
    y: Number = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))


@VIEWS.add("line-chart")
class LineChart(View, frozen=True, kw_only=True, tag="line-chart"):
    """Curves told apart by color, dash and marker, so that color is never needed; either axis may be logarithmic."""

    compact: ClassVar[bool] = True

    series: Sequence[Series]
    x_label: str
    y_label: str
    band_name: str = "interval"
    x_log: bool = False
    y_log: bool = False
    thresholds: Sequence[Threshold] = ()

    def body(self) -> Markup:
        drawn = [self._drawable(series) for series in self.series]
        if not any(series.points() for series in drawn):
            return empty("no curve has a finite point")
        frame = self._frame(drawn)
        lines = [self._threshold(frame, one) for one in self.thresholds]
        marks = [self._curve(frame, index, series) for index, series in enumerate(drawn)]
        drawing = frame.draw(join(*marks, *lines), self._summary())
        return join(self._legend(), drawing, note(self._remarks()), self._numbers())

    def _drawable(self, series: Series) -> Series:
        """Return the series without what has no place on a logarithmic axis."""
        x = [one if is_positive(one) or not self.x_log else None for one in series.x]
        y, low, high = (
            values and [one if is_positive(one) or not self.y_log else None for one in values]
            for values in (series.y, series.low, series.high)
        )
        return Series(name=series.name, x=x, y=y or (), low=low, high=high)

    def _frame(self, drawn: Sequence[Series]) -> Frame:
        xs = [x for series in drawn for x, _ in series.points()]
        ys = [y for series in drawn for _, y in series.points()]
        ys += [edge for series in drawn for _, low, high in series.band() for edge in (low, high)]
        ys += [one.y for one in self.thresholds if is_drawable(one.y) and (is_positive(one.y) or not self.y_log)]
        across: Scale = fit_log_scale(xs) if self.x_log else fit_scale(xs, tight=True)
        return Frame(across, fit_log_scale(ys) if self.y_log else fit_scale(ys), self.x_label, self.y_label)

    def _threshold(self, frame: Frame, one: Threshold) -> Markup | None:
        if is_drawable(one.x) and frame.x.low <= one.x <= frame.x.high:
            return threshold(frame, one.name, x=one.x)
        if is_drawable(one.y) and frame.y.low <= one.y <= frame.y.high:
            return threshold(frame, one.name, y=one.y)
        return None

    def _curve(self, frame: Frame, index: int, series: Series) -> Markup:
        style = f"series-{index % _STYLES}"
        lines = [
            element("polyline", points=_path(frame, run), class_=f"curve {style}", vector_effect="non-scaling-stroke")
            for run in series.stretches()
        ]
        band = series.band()
        edge = [(x, high) for x, _, high in band] + [(x, low) for x, low, _ in reversed(band)]
        area = [element("polygon", points=_path(frame, edge), class_=f"band {style}")] if len(band) > 1 else []
        points = series.points()
        marks = points if len(points) <= _MARKERS_UP_TO else points[-1:]
        shape = _MARKERS[index % _STYLES]
        drawn = [
            marker(shape, frame.x.place(x), 100 - frame.y.place(y), style, f"{series.name}: {spell(y)} at {spell(x)}")
            for x, y in marks
        ]
        return join(stretched(*area, *lines), *drawn)

    def _legend(self) -> Markup:
        items = []
        for index, series in enumerate(self.series):
            style = f"series-{index % _STYLES}"
            line = element("line", x1="0", x2="34", y1="7", y2="7", class_=f"curve {style}")
            swatch = element(
                "svg",
                line,
                marker(_MARKERS[index % _STYLES], 50, "7", style, ""),
                width="34",
                height="14",
                aria_hidden="true",
            )
            items.append(element("li", swatch, series.name))
        return element("ul", *items, class_="legend")

    def _summary(self) -> str:
        names = ", ".join(series.name for series in self.series)
        return f"Line chart of {self.y_label} over {self.x_label}: {names}"

    def _remarks(self) -> str:
        drawn = sum(len(self._drawable(series).points()) for series in self.series)
        given = sum(max(len(series.x), len(series.y)) for series in self.series)
        band = f"Bands: {self.band_name}." if any(series.band() for series in self.series) else ""
        lines = "; ".join(f"{one.name} at {self._where(one)}" for one in self.thresholds)
        dashed = f"Dashed: {lines}." if lines else ""
        skipped = say_skipped(given - drawn, "of the points")
        if skipped and (self.x_log or self.y_log):
            skipped += " A logarithmic axis has no place for 0 and below."
        return " ".join(part for part in (band, dashed, skipped) if part)

    def _where(self, one: Threshold) -> str:
        return f"{self.y_label} {spell(one.y)}" if one.x is None else f"{self.x_label} {spell(one.x)}"

    def _numbers(self) -> Markup:
        columns = ("Curve", self.x_label, self.y_label, "low", "high")
        rows = [
            (series.name, *(spell(value) for value in row))
            for series in self.series
            for row in zip(series.x, series.y, _filled(series.low, series), _filled(series.high, series), strict=False)
        ]
        return fold("The numbers", data_table(columns, rows, f"Numbers of {self.title}"))


def _filled(values: Sequence[Number] | None, series: Series) -> Sequence[Number]:
    return values if values is not None else [None] * len(series.x)


def _path(frame: Frame, points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{coordinate(frame.x.place(x))},{coordinate(100 - frame.y.place(y))}" for x, y in points)
