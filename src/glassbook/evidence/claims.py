"""Claims: sentences with a number, the bar each must pass, and the hash by which a changed bar is known."""

import math
from typing import Literal

import msgspec

from glassbook.core.errors import InputError
from glassbook.files.hashes import hash_json

Direction = Literal["above", "below", "within"]
Shown = Literal["mean", "exp"]
Bar = float | tuple[float, float]

LEVEL = 0.95
"""How often an interval that decides a verdict covers what it estimates."""


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of items: which arm of the study measured it, and its name."""

    arm: str
    column: str

    def __str__(self) -> str:
        return f"{self.arm}/{self.column}"


class Quantity(msgspec.Struct, frozen=True):
    """What is estimated: the mean of a column, less another's paired item by item, as it stands or exponentiated."""

    measure: Measure
    minus: Measure | None = None
    shown_as: Shown = "mean"
    same_items: bool = True

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Return the columns that are read."""
        return (self.measure,) if self.minus is None else (self.measure, self.minus)


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the paper says: its number, where it stands, in which setting. `checked`: somebody has seen it in the source."""

    value: float | None = None
    where: str = ""
    setting: str = ""
    checked: bool = False


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a claim is held against: a trivial baseline, or the control that should fail.

    It stands in the place of the claim's `measure`, so that the claim's `minus` is subtracted from it too, unless it names
    another; what the claim itself subtracts stands by itself.
    """

    says: str
    measure: Measure
    minus: Measure | None = None


class Precondition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold for the claim to be tested at all, such as that the model can do the task."""

    says: str
    measure: Measure
    direction: Direction
    bar: Bar
    shown_as: Shown = "mean"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sentence with a number: what is measured, the bar it must pass, what it is held against, what the paper says.

    `bar` and `null` are on the shown scale: where `shown_as` is "exp", items are logarithms and the bar is a ratio.
    """

    id: str
    says: str
    measure: Measure
    direction: Direction
    bar: Bar
    unit: str
    items: str
    baseline: Comparison
    control: Comparison
    minus: Measure | None = None
    null: float | None = None
    shown_as: Shown = "mean"
    same_items: bool = True
    headline: bool = False
    paper: Paper | None = None
    precondition: Precondition | None = None

    def __post_init__(self) -> None:
        try:
            _check_finite("bar", *_ends(self.bar))
            _check_finite("null", self.null)
            _check_finite("paper.value", self.paper.value if self.paper else None)
            _check_bar("bar", self.direction, self.bar, self.shown_as)
            self._check_null()
            self._check_control()
            if one := self.precondition:
                _check_finite("precondition.bar", *_ends(one.bar))
                _check_bar("precondition.bar", one.direction, one.bar, one.shown_as)
        except InputError as fault:
            raise InputError(f"claim '{self.id}', field {fault}") from None

    @property
    def bar_hash(self) -> str:
        """Return the hexadecimal SHA-256 of all that decides the verdict on given items; what is only said is left out."""
        needed = self.precondition
        decides = {
            "quantity": self.quantity,
            "direction": self.direction,
            "bar": _ends(self.bar),
            "null": None if self.null is None else float(self.null),
            "control": self.quantity_of(self.control),
            "precondition": needed and [needed.measure, needed.shown_as, needed.direction, _ends(needed.bar)],
            "level": LEVEL,
        }
        return hash_json(msgspec.to_builtins(decides))

    @property
    def quantity(self) -> Quantity:
        """Return what the claim is about."""
        return Quantity(self.measure, self.minus, self.shown_as, self.same_items)

    def quantity_of(self, comparison: Comparison) -> Quantity:
        """Return what a baseline or control puts in the place of the claim's own, on the same scale."""
        inherited = None if comparison.measure == self.minus else self.minus
        return Quantity(comparison.measure, comparison.minus or inherited, self.shown_as, self.same_items)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Return all that must be measured for a verdict, by its field in the claim."""
        found = {
            "measure": self.quantity,
            "baseline": self.quantity_of(self.baseline),
            "control": self.quantity_of(self.control),
        }
        if self.precondition is not None:
            one = self.precondition
            found["precondition"] = Quantity(one.measure, None, one.shown_as, self.same_items)
        return found

    @property
    def arms(self) -> frozenset[str]:
        """Return the arms whose items a verdict needs."""
        return frozenset(measure.arm for quantity in self.quantities.values() for measure in quantity.measures)

    def _check_null(self) -> None:
        if isinstance(self.bar, tuple):
            if self.null is not None:
                raise InputError("'null': a bar to lie within has none; leave it out")
            return
        if self.null is None:
            raise InputError(
                f"'null': to lie {self.direction} a bar takes the value of no effect; give it, such as 0.0"
            )
        if self.shown_as == "exp" and self.null <= 0:
            raise InputError(
                "'null': what is shown as exp is positive; give the value of no effect as a ratio, such as 1.0"
            )
        if (self.bar - self.null) * (1 if self.direction == "above" else -1) < 0:
            raise InputError(
                f"'null': it is {self.null:g} and lies beyond the bar of {self.bar:g}, so that no effect at all would pass; "
                f"move the bar to the other side of it"
            )

    def _check_control(self) -> None:
        if self.quantity_of(self.control) == self.quantity:
            raise InputError(
                "'control': it measures what the claim measures and can never fail; name another arm or column"
            )
        if self.control.measure == self.minus:
            raise InputError("'control': it is what the claim subtracts and can never pass; name another arm or column")


def _check_finite(field: str, *numbers: float | None) -> None:
    if any(number is not None and not math.isfinite(number) for number in numbers):
        raise InputError(f"'{field}': it is no finite number; give one")


def _check_bar(field: str, direction: Direction, bar: Bar, shown_as: Shown) -> None:
    """Raise InputError for a bar that its direction cannot use."""
    if isinstance(bar, tuple) != (direction == "within"):
        wanted = "two numbers, the lower first" if direction == "within" else "one number"
        raise InputError(f"'{field}': to lie {direction} takes {wanted}, not {_spelled(bar)}")
    if isinstance(bar, tuple) and bar[0] > bar[1]:
        raise InputError(f"'{field}': nothing lies within {_spelled(bar)}; give the lower number first")
    if shown_as == "exp" and min(_ends(bar)) <= 0:
        raise InputError(f"'{field}': what is shown as exp is positive and {_spelled(bar)} is not; give a ratio")


def _ends(bar: Bar) -> list[float]:
    # 1 and 1.0 are one bar and have one hash.
    return [float(end) for end in (bar if isinstance(bar, tuple) else (bar,))]


def _spelled(bar: Bar) -> str:
    return " to ".join(f"{end:g}" for end in _ends(bar))
