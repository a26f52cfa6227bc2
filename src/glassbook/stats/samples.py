"""What every statistic begins with: numbers that may be used, statistics of them, and chance that depends on its purpose."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError

Numbers = Sequence[Any] | NDArray[Any]
Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Any]
"""A number for each row of an array, over its last axis, e.g. `lambda rows: np.median(rows, axis=-1)`."""


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return random numbers for one purpose, so that a random choice added in one place moves no number in another."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little"))


def as_sample(values: Numbers, what: str = "values") -> Floats:
    """Return one row of finite numbers; raise InputError for none, for NaN or infinity, or for another shape."""
    try:
        row = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {what} are not one row of numbers ({error}); give one number an item") from error
    if row.ndim != 1:
        raise InputError(f"the {what} have shape {row.shape}; give one number an item")
    if not row.size:
        raise InputError(f"there are no {what}, so nothing can be said of them; give at least one item")
    wrong = np.flatnonzero(~np.isfinite(row))
    if wrong.size:
        raise InputError(
            f"{wrong.size} of {row.size} {what} are not finite numbers (the first is item {wrong[0]}, counted from 0); "
            f"leave those items out and say so, or mend what gave them"
        )
    return row


def mean(rows: Floats) -> Floats:
    """Return the arithmetic mean of each row."""
    return np.asarray(rows.mean(axis=-1))


def geometric_mean(rows: Numbers) -> Any:
    """Return the geometric mean of each row, the mean to take of ratios; raise InputError where a number is not positive."""
    numbers = np.asarray(rows, dtype=np.float64)
    if not numbers.size or not (numbers > 0).all():
        raise InputError(
            "a geometric mean is of positive numbers, at least one; give ratios, and leave out none that is zero or below"
        )
    return np.exp(np.log(numbers).mean(axis=-1))


def of_each_row(statistic: Statistic, rows: Floats) -> Floats:
    """Return the statistic of every row; raise InputError where it does not give one finite number for each."""
    found = np.asarray(statistic(rows), dtype=np.float64)
    if found.shape != rows.shape[:-1]:
        raise InputError(
            f"the statistic made shape {found.shape} of {rows.shape}; it must work over the last axis, "
            f"such as lambda rows: np.median(rows, axis=-1)"
        )
    if not np.isfinite(found).all():
        raise InputError("the statistic is not finite for some choice of items; take one that every choice has")
    return found
