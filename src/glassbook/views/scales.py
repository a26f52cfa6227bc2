"""From numbers to places on paper: domains, ticks, and charts whose text keeps its size at every width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from glassbook.views.markup import element
from glassbook.views.numbers import Number, is_drawable, spell

_NARROWEST, _SMALLEST = 1e-9, 1e-290
_MOST_DECIMALS, _PLAIN_DECIMALS, _PLAIN_SIZE = 12, 4, 1e6


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from the domain [low, high] to 0..100, the percentages of a chart's side."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where `value` lies, 0 at the low end and 100 at the high end."""
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def decimals(self) -> int:
        """Return how many decimals tell neighboring ticks apart, at most twelve."""
        step = self.ticks[1] - self.ticks[0]
        return next((d for d in range(_MOST_DECIMALS) if abs(step - round(step, d)) < 1e-6 * step), _MOST_DECIMALS)

    @property
    def names(self) -> list[str]:
        """Return the ticks' labels, all with the same decimals; very large and very small ones as powers of ten."""
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
            element("div", *left, class_="y-ticks", style=f"width:{width + 1}ch", aria_hidden="true"),
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
    "diamond": "M0,-6.5L6.5,0L0,6.5L-6.5,0z",
    "square": "M-4.5,-4.5h9v9h-9z",
    "down": "M-5.5,-4.5h11L0,5.5z",
    "up": "M-5.5,4.5h11L0,-5.5z",
    "ring": "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
    "tick": "M-1,-7h2v14h-2z",
}
SHAPES = tuple(_SHAPES)
