"""A steering effect beside what should not work: random directions, the flipped sign, prompting, and nothing at all."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from glassbook.views.markup import element, join, note
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell, spell_fixed
from glassbook.views.scales import Scale, fit_scale, marker
from glassbook.views.view import VIEWS, View, empty

_ROW_PX = 34
_LANES = (0.0, -0.2, 0.2)


class _Row(NamedTuple):
    """One line of the picture: its name, the form and class of its marks, the effects, and the ends of their interval."""

    name: str
    shape: str
    kind: str
    values: Sequence[Number]
    ends: Sequence[Number] = ()


@VIEWS.add("control-distribution")
class ControlDistribution(View, frozen=True, kw_only=True, tag="control-distribution"):
    """The measured effect of our direction and of every control; a larger effect is a stronger one.

    A range holds the two ends of the interval of an effect at `level`, or nothing.
    """

    effect: str
    unit: str
    unsteered: Number
    steered: Number
    flipped: Number
    prompt_only: Number
    randoms: Sequence[Number]
    n_items: int
    steered_range: Sequence[Number] = ()
    flipped_range: Sequence[Number] = ()
    prompt_range: Sequence[Number] = ()
    level: float = 0.95

    def body(self) -> Markup:
        rows = self._rows()
        values = [value for _, _, _, group, ends in rows for value in (*group, *ends)]
        if not any(is_drawable(value) for value in values):
            return empty("no effect is a finite number")
        scale = fit_scale(values)
        lines = [self._line(scale, row) for row in rows]
        return join(
            element("div", *lines, self._axis(scale), class_="strip-plot"),
            element("p", self.rank(), class_="finding"),
            note(self._remarks()),
        )

    def _rows(self) -> list[_Row]:
        return [
            _Row("our direction", "diamond", "ours", [self.steered], self.steered_range),
            _Row("random directions", "circle", "random", self.randoms),
            _Row("flipped sign", "down", "flipped", [self.flipped], self.flipped_range),
            _Row("prompt only", "square", "prompt", [self.prompt_only], self.prompt_range),
            _Row("unsteered", "ring", "unsteered", [self.unsteered]),
        ]

    def _line(self, scale: Scale, row: _Row) -> Markup:
        name, shape, kind, values, _ = row
        marks = []
        if is_drawable(self.unsteered):
            place = f"{scale.place(self.unsteered):.2f}%"
            marks.append(element("line", x1=place, x2=place, y1="0", y2="100%", class_="baseline"))
        if ends := _drawable_ends(row.ends):
            x1, x2 = (f"{scale.place(end):.2f}%" for end in ends)
            marks.append(element("line", x1=x1, x2=x2, y1="50%", y2="50%", class_=f"range {kind}"))
        for order, value in enumerate(sorted(value for value in values if is_drawable(value))):
            y = 50 + 100 * _LANES[order % len(_LANES)] if len(values) > 1 else 50.0
            marks.append(marker(shape, scale.place(value), y, kind, f"{name}: {spell(value, self.unit)}"))
        said = self._spell(row, scale)
        drawing = element("svg", *marks, class_="strip", height=_ROW_PX, role="img", aria_label=f"{name}: {said}")
        return join(
            element("p", name, class_=f"strip-name {kind}"),
            element("div", drawing, class_="strip-box"),
            element("p", said, class_="strip-value"),
        )

    def _spell(self, row: _Row, scale: Scale) -> str:
        decimals = scale.decimals + 2
        drawn = sorted(value for value in row.values if is_drawable(value))
        if len(row.values) == 1:
            said = spell_fixed(row.values[0], decimals)
            ends = " to ".join(spell_fixed(end, decimals) for end in row.ends)
            return f"{said} [{ends}]" if ends else said
        if not drawn:
            return "none"
        return f"{spell_fixed(drawn[0], decimals)} to {spell_fixed(drawn[-1], decimals)}"

    def _axis(self, scale: Scale) -> Markup:
        names = zip(scale.names, scale.ticks, strict=True)
        ticks = [element("span", name, style=f"left:{scale.place(tick):.2f}%") for name, tick in names]
        unit = f" ({self.unit})" if self.unit else ""
        return join(
            element("div", *ticks, class_="x-ticks strip-axis", aria_hidden="true"),
            element("p", f"{self.effect}{unit}", class_="x-label strip-label"),
        )

    def rank(self) -> str:
        """Return the finding in words: how many random directions ours beats, and whether prompting did better."""
        if not is_drawable(self.steered):
            return f"The effect of our direction is {spell(self.steered)}, so that it has no rank."
        steered, randoms = self.steered, [value for value in self.randoms if is_drawable(value)]
        if not randoms:
            return "No random direction was measured, so that our direction has no rank."
        beaten = sum(value < steered for value in randoms)
        chance = (1 + len(randoms) - beaten) / (1 + len(randoms))
        words = f"Our direction beats {beaten} of {len(randoms)} random directions"
        words += f" (by chance this well or better: p\u00a0=\u00a0{chance:.3f})."
        if is_drawable(self.prompt_only) and self.prompt_only >= steered:
            both = f"{spell(self.prompt_only, self.unit)} against {spell(steered, self.unit)}"
            words += f" Prompting alone did at least as well: {both}."
        return words

    def _remarks(self) -> str:
        skipped = sum(not is_drawable(value) for row in self._rows() for value in row.values)
        counted = f"{self.n_items} item{'s' if self.n_items != 1 else ''}"
        items = f"Each mark is a mean over {counted}; the dashed line is the unsteered model."
        ranges = (
            f"In brackets, and as a bar: {100 * self.level:g}\u00a0% intervals over items."
            if self._has_ranges()
            else ""
        )
        return " ".join(part for part in (items, ranges, say_skipped(skipped, "of the effects")) if part)

    def _has_ranges(self) -> bool:
        return any(row.ends for row in self._rows())


def _drawable_ends(ends: Sequence[Number]) -> tuple[float, float] | None:
    drawable = [end for end in ends if is_drawable(end)]
    return (drawable[0], drawable[1]) if len(drawable) == len(ends) == 2 else None
