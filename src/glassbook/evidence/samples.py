"""Items as samples: the values that a claim needs, seed by seed, each fault named; and their interval, whatever their order."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import EvidenceError
from glassbook.evidence.claims import LEVEL, Claim, Measure, Quantity
from glassbook.stats.bootstrap import bootstrap_two_level
from glassbook.stats.intervals import Interval
from glassbook.stats.samples import Floats

Items = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arm -> column -> one value an item, of one seed."""

_SEED = 0
_MOST_RESAMPLES, _FEWEST_RESAMPLES = 10_000, 1_000
_AFFORDED = 4 * 10**6


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one quantity by seed, before they are exponentiated where they are shown so."""

    quantity: Quantity
    rows: Mapping[int, Floats]

    @property
    def n_items(self) -> int:
        """Return how many items there are: those that all seeds share, or the sum over seeds that each have their own."""
        sizes = [len(row) for row in self.rows.values()]
        return sizes[0] if self._shares_items else sum(sizes)

    @property
    def each_seed(self) -> dict[int, float]:
        """Return the estimate of every seed alone, on the shown scale."""
        return {seed: self._shown(float(np.sort(row).mean())) for seed, row in self.rows.items()}

    def interval(self, mirrored: bool = False) -> Interval:
        """Return the two-level bootstrap interval over seeds and items, on the shown scale.

        Neither the order of items nor the names of seeds change a bit of it; `mirrored` gives what turned signs would give,
        turned back, so that "below" is "above" in a mirror. Where each seed has one value, the value belongs to the
        seed and not to an item that seeds share, and seeds alone are drawn.
        """
        sign = -1.0 if mirrored else 1.0
        rows = [sign * self.rows[seed] for seed in sorted(self.rows)]
        rows = list(in_one_order(np.stack(rows))) if self._shares_items else sorted(map(np.sort, rows), key=tuple)
        n_resamples = _AFFORDED // max(len(row) for row in rows)
        n_resamples = min(max(n_resamples, _FEWEST_RESAMPLES), _MOST_RESAMPLES)
        found = bootstrap_two_level(
            rows, level=LEVEL, n_resamples=n_resamples, seed=_SEED, same_items=self._shares_items
        )
        ends = sorted((sign * found.low, sign * found.high))
        low, high = (self._shown(end) for end in ends)
        return Interval(self._shown(sign * found.estimate), low, high, found.level, found.n)

    @property
    def _shares_items(self) -> bool:
        return self.quantity.same_items and any(len(row) > 1 for row in self.rows.values())

    def _shown(self, value: float) -> float:
        with np.errstate(over="ignore"):
            return float(np.exp(value)) if self.quantity.shown_as == "exp" else value


def read_samples(claim: Claim, items: Mapping[int, Items], seeds: Collection[int] | None = None) -> dict[str, Sample]:
    """Return all values that a claim needs, by its field: measure, baseline, control, precondition.

    `seeds` are those that were announced. Raises EvidenceError that names claim, seed, arm, column and item of the first
    fault: a seed, arm or column that is missing, values that are no numbers, items that cannot be paired.
    """
    where = f"the claim '{claim.id}' cannot be judged"
    wanted = set(items) if seeds is None else set(seeds)
    if missing := sorted(wanted - set(items)):
        raise EvidenceError(f"{where}: seed {missing[0]} is missing; run it, for no seed may be left out")
    if not items:
        raise EvidenceError(f"{where}: there are no items of any seed; run the study first")
    samples = {}
    for field, quantity in claim.quantities.items():
        rows = {seed: _read_row(where, seed, quantity, items[seed]) for seed in sorted(items)}
        sizes = {seed: len(row) for seed, row in rows.items()}
        if quantity.same_items and len(set(sizes.values())) > 1:
            raise EvidenceError(
                f"{where}: the seeds have {sizes} items of {quantity.measure} and so not the same ones; "
                f"measure the same items, or say same_items = false before the run"
            )
        samples[field] = Sample(quantity, rows)
    return samples


def _read_row(where: str, seed: int, quantity: Quantity, items: Items) -> Floats:
    """Return one seed's values of a quantity, less what is subtracted."""
    row = _read_column(where, seed, quantity.measure, items)
    if quantity.minus is None:
        return row
    other = _read_column(where, seed, quantity.minus, items)
    if len(row) != len(other):
        raise EvidenceError(
            f"{where}: seed {seed} has {len(row)} items of {quantity.measure} and {len(other)} of {quantity.minus}, "
            f"which make no pairs; measure both on the same items, in one order"
        )
    return row - other


def _read_column(where: str, seed: int, measure: Measure, items: Items) -> Floats:
    if measure.arm not in items:
        raise EvidenceError(
            f"{where}: seed {seed} has no arm '{measure.arm}'; it has {', '.join(sorted(items)) or 'none'}"
        )
    columns = items[measure.arm]
    if measure.column not in columns:
        known = ", ".join(sorted(columns)) or "none"
        raise EvidenceError(
            f"{where}: seed {seed} has no column '{measure.column}' of the arm '{measure.arm}'; it has {known}"
        )
    values = np.asarray(columns[measure.column])
    if values.ndim != 1 or not values.size or values.dtype.kind not in "biuf":
        raise EvidenceError(
            f"{where}: seed {seed} has shape {values.shape} of {values.dtype} in {measure}; give one number an item"
        )
    row = values.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(row))
    if wrong.size:
        raise EvidenceError(
            f"{where}: item {wrong[0]} of {measure} at seed {seed} is {row[wrong[0]]}, and so are {wrong.size - 1} more; "
            f"mend what measured it, for no item may be left out"
        )
    return row


def in_one_order(table: Floats) -> Floats:
    """Return [seed, item] with rows and columns in an order that depends on nothing but their values.

    Rows and columns are told apart by what stands in them, again and again (color refinement, Weisfeiler and Leman 1968);
    where rows stay alike, one of them is set apart.
    """
    codes = np.unique(table, return_inverse=True)[1].reshape(table.shape)
    rows = np.zeros(len(table), dtype=np.int64)
    for _ in range(len(table)):
        rows = _refined(codes, rows)
        alike = np.flatnonzero(np.bincount(rows) > 1)
        if not alike.size:
            break
        rows = 2 * rows + 1
        rows[np.flatnonzero(rows == 2 * alike[0] + 1)[0]] -= 1
    ordered = table[np.argsort(rows, kind="stable")]
    return ordered[:, np.lexsort(ordered[::-1])]


def _refined(codes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a color for each row, told apart by its own and by the colors of the columns that its values stand in."""
    n, before = int(codes.max()) + 1, 0
    while True:
        columns = _ranks((codes + n * rows[:, None]).T)
        # A row's own color stands below all others, so that it sorts to the front.
        rows = _ranks(np.hstack([-1 - rows[:, None], codes + n * columns]))
        if (found := int(rows.max()) + 1) == before:
            return rows
        before = found


def _ranks(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row the place of its values, in whatever order, among all such."""
    return np.unique(np.sort(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
