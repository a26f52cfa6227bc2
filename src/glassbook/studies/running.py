"""Running a study: a Run for each seed, gone on with where one was cut short, never measured twice by itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glassbook.core.devices import hardware
from glassbook.core.errors import InputError, RunError
from glassbook.runs.reading import StoredRun, read_run
from glassbook.runs.record import Run, start_run
from glassbook.runs.resuming import resume_run
from glassbook.studies.cells import Watch, measure_cells
from glassbook.studies.contract import Study
from glassbook.studies.finding import load
from glassbook.studies.question import Question, ask
from glassbook.studies.records import KIND, changed_sources, journal_of, read_cells, stored_runs

_CUT_SHORT = ("interrupted", "killed", "failed")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, where Runs are kept, whether a seed that has been measured is measured again, and who watches."""

    command: Sequence[str] = ("glassbook",)
    root: str | Path | None = None
    again: bool = False
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class StudyHandle:
    """A study, ready to run."""

    study: Study

    def run(
        self, size: str = "laptop", seed: int = 0, *, only: str | None = None, weights: str | None = None, **asker: Any
    ) -> StoredRun:
        """Return the Run of one seed at one size, measured now unless one of the same question and code is there."""
        return run_seed(
            ask(self.study, size, only, weights), seed, Asker(("glassbook.studies", self.study.name), **asker)
        )

    def run_all(
        self, size: str = "laptop", *, only: str | None = None, weights: str | None = None, **asker: Any
    ) -> list[StoredRun]:
        """Return the Runs of every seed that the study asks for at one size."""
        question = ask(self.study, size, only, weights)
        return [
            run_seed(question, seed, Asker(("glassbook.studies", self.study.name), **asker))
            for seed in question.seeds()
        ]


def find(name: str) -> StudyHandle:
    """Return the study of this name, ready to run; raise InputError that lists what there is."""
    return StudyHandle(load(name))


def run_seed(question: Question, seed: int, asker: Asker) -> StoredRun:
    """Return the finished Run of one seed: the one that is there, one gone on with, or a new one.

    A Run serves again where it was asked the same (study, size, settings, bars) of the same code, data and weights. Raises
    InputError for size gpu without a GPU and RunError where another process is measuring this seed.
    """
    check_device(question)
    if seed < 0:
        raise InputError(f"the seed {seed} is below 0; seeds of a study are counted from 0")
    earlier = None if asker.again else _earlier(question, seed, asker)
    if earlier is not None and earlier.status == "done":
        return earlier
    with _opened(question, seed, asker, earlier) as run:
        run.note_hardware(hardware())
        measure_cells(run, question, seed, asker.watch)
    return read_run(run.folder)


def check_device(question: Question) -> None:
    """Raise InputError for size gpu where there is no GPU."""
    if question.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"the study '{question.study.name}' at size gpu needs a CUDA GPU and this machine has none; "
            f"run it with --size laptop, or where there is one"
        )


@contextmanager
def _opened(question: Question, seed: int, asker: Asker, earlier: StoredRun | None) -> Iterator[Run]:
    config = question.config()
    if earlier is not None:
        with resume_run(earlier.folder, KIND, config, seed=seed) as run:
            yield run
        return
    code = {"modules": question.modules, "without": question.without}
    with start_run(KIND, asker.command, config, seed=seed, root=asker.root, **code) as run:
        yield run


def _earlier(question: Question, seed: int, asker: Asker) -> StoredRun | None:
    """Return the Run that answers the question at this seed, or began to: a finished one first, else the newest."""
    asked, code = question.asked(seed), question.code()
    now = question.study.sources(question.settings)
    found = [
        run
        for run in stored_runs(asker.root)
        if run.record["asked"].get("sha256") == asked
        and run.record["code"]["sha256"] == code
        and not changed_sources(read_cells(journal_of(run.folder)), now)
    ]
    for run in found:
        if run.status == "running":
            raise RunError(
                f"seed {seed} of the study '{question.study.name}' is being measured in process "
                f"{run.record['process']['pid']} (run {run.id}); wait for it, or measure it again with --again"
            )
    finished = [run for run in found if run.status == "done"]
    return next(iter([*finished, *(run for run in found if run.status in _CUT_SHORT)]), None)
