"""What a Run of a study wrote of its cells, read back; nothing here needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from glassbook.core.errors import RunError
from glassbook.files.arrays import read_arrays
from glassbook.files.hashes import sha256_file
from glassbook.runs.index import list_runs
from glassbook.runs.places import runs_root
from glassbook.runs.reading import StoredRun, read_lines, read_run

KIND, JOURNAL = "study", "cells"


class CellRecord(msgspec.Struct, frozen=True):
    """What a Run's journal says of a finished cell: its items' checksum, what it read, what it cost.

    `wall_s` counts every attempt at it; `cpu_s` and `peak_bytes` are those of the attempt that finished it.
    """

    arm: str
    columns: dict[str, int]
    sha256: str
    data: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    wall_s: float
    cpu_s: float
    peak_bytes: int
    flop: float
    tokens: int
    parameters: int


def read_cells(journal: Path) -> list[CellRecord]:
    """Return what a journal says of every finished cell, in the order in which they finished."""
    try:
        return msgspec.convert(read_lines(journal), list[CellRecord])
    except msgspec.ValidationError as fault:
        raise RunError(f"'{journal}' is damaged ({fault}); measure the study again") from fault


def read_items(folder: Path, record: CellRecord) -> dict[str, NDArray[Any]]:
    """Return the columns of a finished cell from the folder of items; raise RunError where they are not what was kept."""
    path = folder / f"{record.arm}.npz"
    if path.is_file() and sha256_file(path) != record.sha256:
        raise RunError(
            f"'{path}' is not what its run wrote: its checksum differs; restore it or measure the study again"
        )
    return read_arrays(path)


def journal_of(run_folder: Path) -> Path:
    """Return where a Run of a study lists its finished cells."""
    return run_folder / "artifacts" / f"{JOURNAL}.jsonl"


def items_folder(run_folder: Path) -> Path:
    """Return where a Run of a study keeps the items of its cells."""
    return run_folder / "artifacts" / "items"


def stored_runs(root: str | Path | None = None) -> list[StoredRun]:
    """Return the Runs of all studies, newest first."""
    place = runs_root(root)
    return [read_run(place / row.id) for row in list_runs(place, kind=KIND, limit=None)]


def changed_sources(cells: Sequence[CellRecord], now: Mapping[str, str]) -> list[str]:
    """Return the names of data and weights (`weights:<name>`) that cells read and that are no longer what they were.

    `now` is what the study's `sources` says; names that it does not say are taken to be as they were.
    """
    read = {row["name"]: str(row["sha256"]) for cell in cells for row in cell.data}
    for identity in (identity for cell in cells for identity in cell.weights):
        read[f"weights:{identity.get('name')}"] = str(identity.get("fingerprint"))
    return sorted(name for name, checksum in read.items() if now.get(name, checksum) != checksum)
