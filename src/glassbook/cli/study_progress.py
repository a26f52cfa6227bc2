"""How far the run of a study is, and how long it will still take: a bar on a terminal, else a line a cell on stderr."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from glassbook.cli.door import tell
from glassbook.runs.reading import StoredRun
from glassbook.studies.cells import Moment
from glassbook.studies.question import Question
from glassbook.studies.records import journal_of, read_cells

_SAY_EVERY_S = 60.0


class StudyProgress:
    """What watches the cells of some seeds; each cell weighs as much as it took when it was last measured."""

    def __init__(
        self, arms: Sequence[str], seeds: Sequence[int], took: Mapping[str, float], bar: Progress | None
    ) -> None:
        usual = sum(took.values()) / len(took) if took else 1.0
        self.weights = [took.get(arm, usual) for arm in arms]
        self.arms, self.seeds, self.bar = list(arms), list(seeds), bar
        self.began, self.said, self.done_before = time.monotonic(), time.monotonic(), 0.0
        self.seed_number, self.measured, self.last = -1, False, (-1, "")
        self.task = bar.add_task("", total=1.0, left="") if bar else None

    def begin(self, seed: int) -> None:
        """Note that a seed begins, with every seed before it at its end."""
        self.seed_number = self.seeds.index(seed)
        if not self.measured:
            self.done_before = self.seed_number / len(self.seeds)

    def see(self, moment: Moment) -> None:
        """Show one moment."""
        share = self._share(moment)
        if not self.measured and moment.share >= 1:
            # This cell is at its end at its first sight: it was measured before.
            self.done_before = share
        elif moment.share < 1:
            self.measured = True
        left = self._left(share)
        if self.bar is not None and self.task is not None:
            what = f"seed {moment.seed}: {moment.arm}" + (f", {moment.what}" if moment.what else "")
            self.bar.update(self.task, completed=share, description=what, left=left)
        elif moment.share >= 1 and (moment.seed, moment.arm) != self.last:
            self.last = (moment.seed, moment.arm)
            self._say(moment, "done", left)
        elif time.monotonic() - self.said > _SAY_EVERY_S:
            self._say(moment, f"{moment.what} {moment.share:.0%}".strip(), left)

    def _say(self, moment: Moment, what: str, left: str) -> None:
        self.said = time.monotonic()
        number = self.seed_number * moment.n_cells + moment.number + 1
        tell(f"seed {moment.seed}: {moment.arm} {what} (cell {number} of {moment.n_cells * len(self.seeds)}{left})")

    def _share(self, moment: Moment) -> float:
        """Return how much of all is done, 0 to 1."""
        whole = sum(self.weights)
        of_seed = sum(self.weights[: moment.number]) + moment.share * self.weights[moment.number]
        return (self.seed_number + of_seed / whole) / len(self.seeds)

    def _left(self, share: float) -> str:
        gained = share - self.done_before
        if gained <= 0 or share >= 1:
            return ""
        return f", {spelled((time.monotonic() - self.began) * (1 - share) / gained)} left"


@contextmanager
def study_progress(question: Question, seeds: Sequence[int], runs: Sequence[StoredRun]) -> Iterator[StudyProgress]:
    """Yield what watches a study's cells and says on stderr how far they are."""
    arms, took = [arm.name for arm in question.arms()], last_times(question, runs)
    if not sys.stderr.isatty():
        yield StudyProgress(arms, seeds, took, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%{task.fields[left]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield StudyProgress(arms, seeds, took, bar)


def last_times(question: Question, runs: Sequence[StoredRun]) -> dict[str, float]:
    """Return the seconds that each arm took when it was last measured at this size."""
    took: dict[str, float] = {}
    for run in runs:
        config = run.record["asked"]["config"]
        if (config.get("study"), config.get("size")) == (question.study.name, question.size):
            for cell in read_cells(journal_of(run.folder)):
                took.setdefault(cell.arm, cell.wall_s)
    return took


def spelled(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
