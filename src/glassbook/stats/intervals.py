"""An estimate with what is known of its uncertainty."""

import math
from dataclasses import dataclass

from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that covers what it estimates with probability `level`.

    `n` counts the independent units it rests on: items, pairs, or seeds. Where they say nothing of their spread (one unit
    alone) the interval is all numbers, from minus to plus infinity.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int

    def __str__(self) -> str:
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return f"{self.estimate:.4g} (n = {self.n}, too few for an interval)"
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}] ({100 * self.level:g} %, n = {self.n})"

    def excludes(self, value: float) -> bool:
        """Return whether the whole interval lies on one side of `value`, as it must to tell the two apart."""
        return value < self.low or value > self.high

    def lies_above(self, bar: float) -> bool:
        """Return whether the whole interval lies above `bar`."""
        return self.low > bar

    def lies_below(self, bar: float) -> bool:
        """Return whether the whole interval lies below `bar`."""
        return self.high < bar


def check_level(level: float) -> float:
    """Return a level that an interval can have; raise InputError for any other."""
    if not 0 < level < 1:
        raise InputError(f"the level {level} cannot be used; give one between 0 and 1, such as 0.95")
    return level
