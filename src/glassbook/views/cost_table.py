"""What each part of a run cost."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from glassbook.views.markup import element, note, scroll_box
from glassbook.views.numbers import Number, is_drawable, spell
from glassbook.views.view import VIEWS, View, empty, plain


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One part: seconds on the clock, seconds of CPU over all cores, peak memory, floating-point operations."""

    part: str
    wall_s: Number
    cpu_s: Number
    peak_mb: Number = None
    flop: Number = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))


@VIEWS.add("costs")
class Costs(View, frozen=True, kw_only=True, tag="costs"):
    """The parts of a run with their costs; times and operations add up, peak memory does not."""

    parts: Sequence[Cost]

    def body(self) -> Markup:
        if not self.parts:
            return empty("no part of the run was measured")
        heads = [("Part", ""), ("Time", "s"), ("CPU time", "s"), ("Peak memory", "MB"), ("Operations", "FLOP")]
        top = element("tr", *(_head(name, unit) for name, unit in heads))
        total = self.total()
        lines = [_line(part, total.wall_s) for part in self.parts]
        foot = element("tfoot", _line(total, None))
        table = element("table", element("thead", top), element("tbody", *lines), foot, class_="cost-rows")
        return scroll_box(table, self.title or "Costs") + (note(self._remarks()) or Markup(""))

    def total(self) -> Cost:
        """Return the sums over all parts that were measured, and the largest peak of memory."""
        peaks = [part.peak_mb for part in self.parts if is_drawable(part.peak_mb)]
        flops = [part.flop for part in self.parts if is_drawable(part.flop)]
        return Cost(
            part="Total",
            wall_s=sum(part.wall_s for part in self.parts if is_drawable(part.wall_s)),
            cpu_s=sum(part.cpu_s for part in self.parts if is_drawable(part.cpu_s)),
            peak_mb=max(peaks, default=None),
            flop=sum(flops) if flops else None,
        )

    def _remarks(self) -> str:
        missing = [part.part for part in self.parts if not is_drawable(part.flop)]
        uncounted = f"Operations were not counted for {', '.join(missing)}." if missing else ""
        return f"Bars show each part's share of the time. 1 MB is 10⁶ bytes. {uncounted}".strip()


def _head(name: str, unit: str) -> Markup:
    shown = element("span", unit, class_="unit") if unit else None
    return element("th", name, shown, scope="col", class_="number" if unit else None)


def _line(cost: Cost, total_s: Number) -> Markup:
    share = cost.wall_s / total_s if is_drawable(cost.wall_s) and is_drawable(total_s) and total_s > 0 else None
    bar = element("span", element("span", style=f"width:{share:.1%}"), class_="share") if share is not None else None
    numbers = (spell(value) for value in (cost.cpu_s, cost.peak_mb, cost.flop))
    return element(
        "tr",
        element("th", cost.part, scope="row"),
        element("td", spell(cost.wall_s), bar, class_="number"),
        *(element("td", text, class_="number") for text in numbers),
    )
