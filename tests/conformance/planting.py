"""Items on whichever side of a claim's bar one wants them: what a verdict must follow."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glassbook.evidence import Claim, Items, Quantity

_ITEMS = 24


def planted(claim: Claim, items: Mapping[int, Items], passes: bool) -> dict[int, dict[str, dict[str, NDArray]]]:
    """Return three seeds of items whose claimed quantity passes the bar or misses it, while control and precondition behave.

    Every item keeps its distance from the others, only scaled; what a quantity subtracts stays as it was measured.
    """
    known = [items[seed] for seed in sorted(items)]
    made = {seed: _first(known[seed % len(known)]) for seed in range(3)}
    for of_seed in made.values():
        _put(
            of_seed, claim.quantity_of(claim.control), _beyond(claim.direction, claim.bar, claim.shown_as, passes=False)
        )
        if (needed := claim.precondition) is not None:
            there = _beyond(needed.direction, needed.bar, needed.shown_as, passes=True)
            _put(of_seed, Quantity(needed.measure, None, needed.shown_as), there)
        _put(of_seed, claim.quantity, _beyond(claim.direction, claim.bar, claim.shown_as, passes))
    return made


def _first(items: Items) -> dict[str, dict[str, NDArray]]:
    """Return a few items of every column: a verdict on planted items needs no more, and is reached sooner."""
    return {arm: {name: values[:_ITEMS] for name, values in columns.items()} for arm, columns in items.items()}


def _beyond(direction: str, bar: float | tuple[float, float], shown_as: str, passes: bool) -> tuple[float, float]:
    """Return where a quantity's mean is put and how far its items spread, before they are exponentiated."""
    low, high = bar if isinstance(bar, tuple) else (bar, bar)
    if shown_as == "exp":
        low, high = float(np.log(low)), float(np.log(high))
    step = 1 + abs(low) + abs(high)
    if direction == "within":
        return ((low + high) / 2, (high - low) / 20) if passes else (high + step, step / 20)
    return (high + step, step / 20) if (direction == "above") == passes else (low - step, step / 20)


def _put(items: dict[str, dict[str, NDArray]], quantity: Quantity, where: tuple[float, float]) -> None:
    center, spread = where
    column = np.asarray(items[quantity.measure.arm][quantity.measure.column], dtype=np.float64)
    other = (
        items[quantity.minus.arm][quantity.minus.column].astype(np.float64) if quantity.minus else np.zeros_like(column)
    )
    away = column - other - (column - other).mean()
    largest = float(np.abs(away).max())
    away = away / largest * spread if largest > 0 else away
    items[quantity.measure.arm][quantity.measure.column] = other + center + away
