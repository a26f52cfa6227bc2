"""The cells of a study's Run: measured one after another, each on the disk when it is done, none measured twice."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.core.seeds import seed_all
from glassbook.files.arrays import write_arrays
from glassbook.files.hashes import sha256_file
from glassbook.runs.reading import read_lines
from glassbook.runs.record import Run
from glassbook.studies.contract import Arm, Cell, Picture, Study
from glassbook.studies.question import Question
from glassbook.studies.records import JOURNAL, CellRecord, items_folder, read_cells

CLOCK = "spent"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_TICK_S = 10.0


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a Run is: which of its cells is at work, how much of it is done (0 to 1), and what it is doing."""

    seed: int
    arm: str
    number: int
    n_cells: int
    share: float
    what: str = ""


Watch = Callable[[Moment], None]


def measure_cells(run: Run, question: Question, seed: int, watch: Watch | None = None) -> None:
    """Measure every cell of `run` that it does not hold yet."""
    arms, known = question.arms(), {record.arm for record in read_cells(run.journal(JOURNAL))}
    for number, arm in enumerate(arms):

        def report(done: float, of: float, what: str = "", at: tuple[int, Arm] = (number, arm)) -> None:
            if watch is not None:
                share = min(max(done / of, 0.0), 1.0) if of > 0 else 0.0
                watch(Moment(seed, at[1].name, at[0], len(arms), share, what))

        if arm.name not in known:
            report(0, 1)
            _measure_cell(run, question.study, _cell(run.folder, question, arm, seed), report)
        report(1, 1)


def _cell(run_folder: Path, question: Question, arm: Arm, seed: int) -> Cell:
    cells = run_folder / "cells"
    folder = cells / arm.name
    folder.mkdir(parents=True, exist_ok=True)
    others = {name: cells / name for name in arm.after}
    return Cell(arm.name, seed, question.size, question.settings, folder, question.device, others)


def _measure_cell(run: Run, study: Study, cell: Cell, report: Callable[[float, float, str], None]) -> None:
    # A cell that draws from a global generator must not depend on which cells this process measured before it.
    seed_all(cell.seed, study.name, cell.arm)
    with run.part(cell.arm), _clock(run, cell, report) as spent:
        columns = as_columns(cell.arm, study.measure(cell))
        wall_s = spent()
    folder = items_folder(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cell.arm}.npz"
    write_arrays(path, columns)
    _note_sources(run, cell)
    for name, view in cell.pictures.items():
        _keep_picture(run, f"{cell.arm}.{name}", view)
    cost = run.costs[-1]
    sizes = {name: len(values) for name, values in sorted(columns.items())}
    record = CellRecord(
        cell.arm, sizes, sha256_file(path), cell.rows, cell.identities, wall_s, cost.cpu_s, cost.peak_bytes,
        **asdict(cell.spent),
    )  # fmt: skip
    run.append(JOURNAL, [msgspec.to_builtins(record)])


@contextmanager
def _clock(run: Run, cell: Cell, report: Callable[[float, float, str], None]) -> Iterator[Callable[[], float]]:
    """Yield the seconds that all attempts at a cell took so far; they are kept now and then, for the next attempt to add to."""
    before = [line["wall_s"] for line in read_lines(run.journal(CLOCK)) if line["arm"] == cell.arm]
    began, told = time.perf_counter(), time.perf_counter()

    def spent() -> float:
        return (before[-1] if before else 0.0) + time.perf_counter() - began

    def tick(done: float, of: float, what: str) -> None:
        nonlocal told
        if time.perf_counter() - told >= _TICK_S:
            told = time.perf_counter()
            run.append(CLOCK, [{"arm": cell.arm, "wall_s": spent()}])
        report(done, of, what)

    cell.report = tick
    try:
        yield spent
    except BaseException:
        run.append(CLOCK, [{"arm": cell.arm, "wall_s": spent()}])
        raise


def as_columns(arm: str, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return columns as they are kept: float32 where that loses nothing, else float64.

    Raises InputError that names arm, column and item for what is no row of finite numbers.
    """
    if not columns:
        raise InputError(f"the arm '{arm}' measured no column; a study returns one at least")
    return {name: _as_column(f"the column '{name}' of the arm '{arm}'", name, columns[name]) for name in columns}


def _as_column(what: str, name: str, values: Any) -> NDArray[Any]:
    if not _NAME.fullmatch(name):
        raise InputError(f"{what} cannot be kept; a name has letters, digits, '-', '_' and '.' only")
    given = np.asarray(values)
    if given.ndim != 1 or given.dtype.kind not in "biuf" or not given.size:
        raise InputError(
            f"{what} has shape {given.shape} of {given.dtype}; give one number an item, and one item at least"
        )
    wide = given.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(wide))
    if wrong.size:
        raise InputError(
            f"{what} has no finite number at item {wrong[0]} (and {wrong.size - 1} more, counted from 0); "
            f"mend what measured it, or say in the study what such an item counts as"
        )
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), wide) else wide


def _note_sources(run: Run, cell: Cell) -> None:
    for row in cell.rows:
        run.note_data(**row)
    for identity in cell.identities:
        # The record has one place for weights: those the first cell opened.
        if run.record["weights"] is None and {"name", "dtype", "fingerprint"} <= identity.keys():
            run.note_weights(identity)


def _keep_picture(run: Run, name: str, view: Picture) -> None:
    # A cell that was cut short between its pictures and its journal line draws them again.
    path = run.folder / "views" / f"{name}.json"
    path.unlink(missing_ok=True)
    run.save_view(name, view)  # type: ignore[arg-type]
