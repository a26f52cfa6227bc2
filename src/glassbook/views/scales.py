"""From numbers to places on paper: domains, ticks, and charts whose text keeps its size at every width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup

from glassbook.views.markup import element, join
from glassbook.views.numbers import Number, is_drawable, spell

_NARROWEST, _SMALLEST = 1e-9, 1e-290
_MOST_DECIMALS, _PLAIN_DECIMALS, _PLAIN_SIZE = 12, 4, 1e6


@dataclass(frozen=True, slots=True)
class Scale:
    """From the domain [low, high] to 0..100, the percentages of a chart's side, along a line or along its logarithm."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 100 at the high end."""
        if self.is_log:
            return 100 * math.log(value / self.low) / math.log(self.high / self.low)
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def decimals(self) -> int:
        """Return how many decimals tell neighboring ticks apart, at most twelve."""
        step = self.ticks[1] - self.ticks[0]
        return next((d for d in range(_MOST_DECIMALS) if abs(step - round(step, d)) < 1e-6 * step), _MOST_DECIMALS)

    @property
    def names(self) -> list[str]:
        """Return the ticks' labels, all with the same decimals; very large and very small ones as powers of ten."""
        if self.is_log:
            return [spell(tick) for tick in self.ticks]
        if self.decimals > _PLAIN_DECIMALS or max(abs(tick) for tick in self.ticks) >= _PLAIN_SIZE:
            return [spell(tick) for tick in self.ticks]
        texts = (f"{tick:,.{self.decimals}f}" for tick in self.ticks)
        return [text.replace("-", "−").replace(",", "\u202f") for text in texts]


def fit_scale(values: Iterable[Number], n_ticks: int = 5, *, tight: bool = False) -> Scale:
    """Return a scale around every value that can be drawn, its ends round numbers; 0 to 1 where there is none.

    A `tight` scale ends where the values end, and its round ticks lie inside.
    """
    given = [float(value) for value in values if is_drawable(value)]
    low, high = (min(given), max(given)) if given else (0.0, 1.0)
    size = max(abs(low), abs(high))
    if high - low <= size * _NARROWEST or size < _SMALLEST:
        margin = size / 2 if size >= _SMALLEST else 0.5
        low, high = low - margin, high + margin
    step = _round_step((high - low) / max(n_ticks - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(index * step for index in range(first, last + 1))
    inside = tuple(tick for tick in ticks if low <= tick <= high)
    return Scale(low, high, inside) if tight and len(inside) > 1 else Scale(ticks[0], ticks[-1], ticks)


def fit_log_scale(values: Iterable[Number], n_ticks: int = 5) -> Scale:
    """Return a logarithmic scale around every positive value that can be drawn; 1 to 10 where there is none."""
    given = [float(value) for value in values if is_positive(value)]
    low, high = (min(given), max(given)) if given else (1.0, 10.0)
    if high <= low * (1 + _NARROWEST):
        low, high = low / 2, high * 2
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    decades = range(first, last + 1)
    choices = [[factor * 10.0**power for power in decades for factor in factors] for factors in _LOG_TICKS]
    doubled = [2.0**power for power in range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)]
    inside = [
        [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)] for ticks in (doubled, *choices)
    ]
    # Doubled ticks or finer ones, as few as can be read; ends that are far apart have powers of ten, and not each of them.
    fit = [ticks for ticks in inside if 3 <= len(ticks) <= n_ticks + 1]
    ticks = fit[0] if fit else inside[-1][:: max(1, len(decades) // n_ticks)]
    return Scale(low, high, tuple(ticks) if len(ticks) > 1 else (low, high), is_log=True)


_LOG_TICKS = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1,))


def is_positive(value: object) -> TypeGuard[float]:
    """Return whether `value` has a place on a logarithmic scale."""
    return is_drawable(value) and value >= _SMALLEST


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class Frame:
    """A chart's two scales and what they measure."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies on the paper, from its upper left corner."""
        return self.x.place(x), 100 - self.y.place(y)

    def draw(self, marks: Markup, summary: str) -> Markup:
        """Return the chart: ticks and labels as text around `marks`, which fill a stretchable drawing of 100 x 100."""
        y_names, x_names = self.y.names, self.x.names
        width = max(len(name) for name in y_names)
        plot = element("svg", self._grid(), marks, class_="plot", role="img", aria_label=summary)
        left = [
            element("span", n, style=f"bottom:{self.y.place(t):.2f}%")
            for n, t in zip(y_names, self.y.ticks, strict=True)
        ]
        below = [
            element("span", n, style=f"left:{self.x.place(t):.2f}%") for n, t in zip(x_names, self.x.ticks, strict=True)
        ]
        return element(
            "div",
            element("p", self.y_label, class_="y-label"),
            element("div", *left, class_="y-ticks", style=f"width:calc({width}ch + .8rem)", aria_hidden="true"),
            element("div", plot, class_="plot-box"),
            element("div", *below, class_="x-ticks", aria_hidden="true"),
            element("p", self.x_label, class_="x-label"),
            class_="chart",
        )

    def _grid(self) -> Markup:
        lines = [(100 - self.y.place(tick), tick == 0) for tick in self.y.ticks]
        drawn = [
            element(
                "line", x1="0", x2="100%", y1=f"{place:.2f}%", y2=f"{place:.2f}%", class_="zero" if zero else "rule"
            )
            for place, zero in lines
        ]
        return element("g", *drawn, aria_hidden="true")


def stretched(*shapes: Markup) -> Markup:
    """Return shapes drawn in a 100 x 100 square that is stretched over the whole plot."""
    return element("svg", *shapes, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%")


def threshold(frame: Frame, name: str, *, x: float | None = None, y: float | None = None) -> Markup:
    """Return a dashed line across the chart at one x or at one y, with its name beside it where there is room."""
    if x is not None:
        place = frame.x.place(x)
        ends = {"x1": f"{place:.2f}%", "x2": f"{place:.2f}%", "y1": "0", "y2": "100%"}
        return join(element("line", **ends, class_="threshold"), label(name, place, 0, above=False))
    place = 100 - frame.y.place(y or 0.0)
    ends = {"x1": "0", "x2": "100%", "y1": f"{place:.2f}%", "y2": f"{place:.2f}%"}
    return join(element("line", **ends, class_="threshold"), label(name, 100, place, above=place > 15))


def label(text: str, x: float, y: float, *, above: bool = True, kind: str = "") -> Markup:
    """Return words beside a point, x and y in percent, on the side where they have room."""
    left = x > 55
    return element(
        "text",
        text,
        x=f"{x:.2f}%",
        y=f"{y:.2f}%",
        dx=-8 if left else 8,
        dy=-8 if above else 14,
        text_anchor="end" if left else "start",
        class_=f"label {kind}".strip(),
    )


def marker(shape: str, x: float, y: float | str, kind: str, title: str) -> Markup:
    """Return a mark of about ten pixels that keeps its form wherever the drawing is stretched; x, y in percent."""
    path = element("path", element("title", title), d=_SHAPES[shape], class_=f"marker {kind}")
    return element(
        "svg",
        path,
        x=f"{x:.2f}%",
        y=y if isinstance(y, str) else f"{y:.2f}%",
        overflow="visible",
        width="1",
        height="1",
    )


_SHAPES = {
    "circle": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
    "dot": "M-2.5,0a2.5,2.5 0 1,0 5,0a2.5,2.5 0 1,0 -5,0z",
    "diamond": "M0,-6.5L6.5,0L0,6.5L-6.5,0z",
    "square": "M-4.5,-4.5h9v9h-9z",
    "down": "M-5.5,-4.5h11L0,5.5z",
    "up": "M-5.5,4.5h11L0,-5.5z",
    "ring": "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
    "right": "M-4.5,-5.5v11L5.5,0z",
    "tick": "M-1,-7h2v14h-2z",
}
SHAPES = tuple(_SHAPES)
