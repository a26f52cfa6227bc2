"""Intervals of shares that were counted: they have width even where every answer was right."""

import math
from statistics import NormalDist

from glassbook.core.errors import InputError
from glassbook.stats.intervals import Interval, check_level


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Return hits / n with the score interval of Wilson (1927, JASA 22, 209-212); raise InputError for counts that cannot be."""
    if not 0 <= hits <= n or n < 1:
        raise InputError(f"{hits} of {n} is no share; count at least one item and no more hits than items")
    z = NormalDist().inv_cdf((1 + check_level(level)) / 2)
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At the ends the interval touches 0 or 1 exactly, which rounding would miss.
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == n else min(1.0, middle + half)
    return Interval(share, low, high, level, n)


def balanced_accuracy(found: tuple[int, int], rejected: tuple[int, int], level: float = 0.95) -> Interval:
    """Return the mean of two shares, of what is there that was found and of what is not there that was rejected.

    Each is (right answers, items). The interval joins the two Wilson intervals by their squares (Zou and Donner 2008, Statistics
    in Medicine 27, 1693-1702). Chance is 0.5 whatever the numbers of items. Raises InputError where either has no items.
    """
    one, other = wilson(*found, level), wilson(*rejected, level)
    estimate = (one.estimate + other.estimate) / 2
    below = math.hypot(one.estimate - one.low, other.estimate - other.low) / 2
    above = math.hypot(one.high - one.estimate, other.high - other.estimate) / 2
    return Interval(estimate, max(0.0, estimate - below), min(1.0, estimate + above), level, one.n + other.n)
