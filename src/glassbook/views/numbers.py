"""Numbers as people read them, and numbers that JSON cannot write."""

import math
from typing import Literal, TypeGuard

NotFinite = Literal["NaN", "Infinity", "-Infinity"]
Number = float | NotFinite | None

_SPELLED: dict[str, str] = {"NaN": "not a number", "Infinity": "∞", "-Infinity": "−∞"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LARGEST = 1e300  # the span of two such numbers is finite still
_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e6


def is_drawable(value: object) -> TypeGuard[float]:
    """Return whether `value` is a number that has a place on paper: not missing, NaN, infinite or beyond 1e300."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def name_not_finite(value: float) -> float | NotFinite:
    """Return `value`, or the word that stands for it in JSON where it is NaN or infinite."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def spell(value: Number, unit: str = "") -> str:
    """Return `value` with three or four significant digits and its unit; a missing number is a dash."""
    if value is None:
        return "—"
    if not is_drawable(value):
        return _SPELLED.get(str(name_not_finite(float(value))), str(value))
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    size = abs(value)
    if size and not _PLAIN_FROM <= size < _PLAIN_TO:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    elif value == int(value):
        text = f"{int(value):,}".replace(",", "\u202f")
    else:
        text = f"{value:.1f}" if size >= 1000 else f"{value:.4g}" if size >= 1 else f"{value:.3g}"
    return text.replace("-", "−")


def spell_fixed(value: Number, decimals: int) -> str:
    """Return `value` with a fixed number of decimals, for columns whose points should line up."""
    if not is_drawable(value):
        return spell(value)
    return f"{value:.{decimals}f}".replace("-", "−")


def say_skipped(count: int, what: str) -> str:
    """Return a sentence about values left out of a drawing, or nothing where none was."""
    if not count:
        return ""
    return f"{count} {what} {'is' if count == 1 else 'are'} missing or not finite and {'is' if count == 1 else 'are'} not drawn."
