"""How strong a vector may become before fluency pays for it: a geometric ladder of strengths, refined where a line is crossed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glassbook.steering.fluency import TextCost

FACTOR, RUNGS, REFINEMENTS = 2.0, 6, 4
"""Each rung is twice the one below, six of them up and down; four bisections tell a crossing within 2^(1/16) = 4 %."""

Price = Callable[[float], TextCost]


@dataclass(frozen=True, slots=True)
class Dose:
    """What a vector costs at a multiple of the strength that is checked."""

    multiple: float
    cost: TextCost


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the perplexity ratio crosses a line: `within` is the largest multiple known below it, `beyond` the next above.

    `beyond` is None where no rung crosses the line, `within` where even the lowest lies above it.
    """

    line: float
    within: float | None
    beyond: float | None

    @property
    def multiple(self) -> float | None:
        """Return the middle between both ends, or None where there is no crossing on the ladder."""
        return None if self.within is None or self.beyond is None else math.sqrt(self.within * self.beyond)

    def say(self) -> str:
        """Return where the crossing lies, in words that follow its name."""
        if self.multiple is not None:
            return f"lies at {self.multiple:.3g} times this strength"
        if self.beyond is None:
            return f"is not reached by {self.within:g} times this strength"
        return f"lies below {self.beyond:.3g} times this strength"


def climb_ladder(price: Price, budget: float, broken: float) -> list[Dose]:
    """Return the doses from the lowest rung to the highest: up until coherence breaks, down until the budget is kept.

    A ratio that is no number counts as broken. Both searches end after `RUNGS` rungs.
    """
    doses = [Dose(1.0, price(1.0))]
    while len(doses) <= RUNGS and is_within(doses[-1], broken):
        doses.append(_dose(price, doses[-1].multiple * FACTOR))
    lower: list[Dose] = []
    lowest = doses[0]
    while len(lower) < RUNGS and not is_within(lowest, budget):
        lowest = _dose(price, lowest.multiple / FACTOR)
        lower.append(lowest)
    return [*reversed(lower), *doses]


def cross(price: Price, doses: Sequence[Dose], line: float) -> tuple[Crossing, list[Dose]]:
    """Return where the ladder first crosses a line from below, bisected on the logarithm, and the doses that took."""
    if not is_within(doses[0], line):
        return Crossing(line, None, doses[0].multiple), []
    pairs = pairwise(doses)
    found = next(((low, high) for low, high in pairs if is_within(low, line) and not is_within(high, line)), None)
    if found is None:
        return Crossing(line, doses[-1].multiple, None), []
    more = list(_bisections(price, *found, line))
    within = max((dose.multiple for dose in more if is_within(dose, line)), default=found[0].multiple)
    beyond = min((dose.multiple for dose in more if not is_within(dose, line)), default=found[1].multiple)
    return Crossing(line, within, beyond), more


def is_within(dose: Dose, line: float) -> bool:
    """Return whether the perplexity ratio is a number and not above the line."""
    return dose.cost.perplexity_ratio <= line


def _bisections(price: Price, low: Dose, high: Dose, line: float) -> Iterator[Dose]:
    for _ in range(REFINEMENTS):
        middle = _dose(price, math.sqrt(low.multiple * high.multiple))
        yield middle
        low, high = (middle, high) if is_within(middle, line) else (low, middle)


def _dose(price: Price, multiple: float) -> Dose:
    return Dose(multiple, price(multiple))
