"""What differs between two results of one study: which columns and claims moved beyond their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassbook.core.errors import InputError
from glassbook.evidence import Judgement
from glassbook.runs.index import find_run
from glassbook.runs.reading import RUN_FILE, StoredRun
from glassbook.stats.bootstrap import bootstrap, bootstrap_two_level
from glassbook.stats.intervals import Interval
from glassbook.studies.results import Results, from_kept, of_group, with_run

_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Move:
    """One column before and after: its mean with an interval over seeds and items, and whether every item is the same."""

    arm: str
    column: str
    before: Interval
    after: Interval
    is_same: bool

    @property
    def moved(self) -> bool:
        """Return whether either mean lies outside the other's interval."""
        return not self.is_same and is_beyond(self.before, self.after)


@dataclass(frozen=True, slots=True)
class ClaimMove:
    """One claim before and after."""

    claim: str
    before: Judgement
    after: Judgement

    @property
    def moved(self) -> bool:
        """Return whether the verdict is another, or either estimate lies outside the other's interval."""
        other = self.before.verdict != self.after.verdict
        return other or is_beyond(self.before.interval, self.after.interval)


def is_beyond(before: Interval, after: Interval) -> bool:
    """Return whether either estimate lies outside the other's interval."""
    return before.excludes(after.estimate) or after.excludes(before.estimate)


def compare(before: Results, after: Results) -> list[Move]:
    """Return what became of every column that both results have; raise InputError where they are of two studies."""
    if before.study != after.study:
        raise InputError(f"'{before.study}' and '{after.study}' are two studies; compare two results of one")
    theirs = set(after.columns)
    return [_move(before, after, arm, column) for arm, column in before.columns if (arm, column) in theirs]


def only_in_one(before: Results, after: Results) -> list[tuple[str, str]]:
    """Return the columns that only one of two results has."""
    return sorted(set(before.columns) ^ set(after.columns))


def compare_claims(before: Mapping[str, Judgement], after: Mapping[str, Judgement]) -> list[ClaimMove]:
    """Return what became of every claim that was judged in both."""
    return [ClaimMove(name, one, after[name]) for name, one in before.items() if name in after]


def named_results(first: str, second: str, runs: Sequence[StoredRun], root: Path | None) -> tuple[Results, Results]:
    """Return the two results that a person names: a Run, or a folder of kept results.

    A Run stands for all seeds that were measured with it; two Runs of the same question and code stand for themselves.
    """
    found = _named(first, runs, root), _named(second, runs, root)
    if {_runs_of(one) for one in found} == {_runs_of(found[0])} and first != second:
        alone = [of_group([find_run(name, root)]) for name in (first, second) if not _is_kept(name)]
        if len(alone) == 2:
            return alone[0], alone[1]
    return found


def column_interval(results: Results, arm: str, column: str) -> Interval:
    """Return the mean of a column with its 95 % interval: over seeds and items, or over the items of one seed."""
    values = results.values(arm, column)
    if len(values) == 1:
        return bootstrap(values[0], n_resamples=_RESAMPLES, seed=0)
    same_items = len({len(row) for row in values}) == 1 and len(values[0]) > 1
    return bootstrap_two_level(values, n_resamples=_RESAMPLES, seed=0, same_items=same_items)


def _move(before: Results, after: Results, arm: str, column: str) -> Move:
    old, new = before.values(arm, column), after.values(arm, column)
    is_same = len(old) == len(new) and all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))
    first = column_interval(before, arm, column)
    return Move(arm, column, first, first if is_same else column_interval(after, arm, column), is_same)


def _named(name: str, runs: Sequence[StoredRun], root: Path | None) -> Results:
    if _is_kept(name):
        return from_kept(Path(name))
    run = find_run(name, root)
    if run.kind != "study" or run.status != "done":
        raise InputError(f"the run {run.id} is no finished run of a study ({run.kind}, {run.status}); name another")
    return with_run(run, runs)


def _is_kept(name: str) -> bool:
    return any(Path(name).glob(f"seed-*/{RUN_FILE}"))


def _runs_of(results: Results) -> frozenset[str]:
    return frozenset(seed.run for seed in results.seeds.values())
