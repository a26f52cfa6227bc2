"""The index of runs: a SQLite file beside the run folders, which are the truth; it can be deleted at any time."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from glassbook.core.errors import GlassbookError, RunError
from glassbook.runs.places import runs_root
from glassbook.runs.reading import RUN_FILE, StoredRun, read_run

INDEX_FILE = "index.sqlite"
_VERSION = 1
_BUSY_S = 30.0
_TABLE = (
    """CREATE TABLE runs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, started TEXT NOT NULL,
    seed INTEGER, weights TEXT, command TEXT, wall_s REAL, has_report INTEGER NOT NULL)""",
    "CREATE INDEX by_start ON runs (started)",
)
_COLUMNS = "id, kind, status, started, seed, weights, command, wall_s, has_report"


@dataclass(frozen=True, slots=True)
class Row:
    """A run in a list: enough to recognize it. `started` is UTC; `wall_s` is None before its end."""

    id: str
    kind: str
    status: str
    started: str
    seed: int | None
    weights: str
    command: str
    wall_s: float | None
    has_report: bool


def list_runs(
    root: str | Path | None = None, *, kind: str | None = None, status: str | None = None, limit: int | None = 50
) -> list[Row]:
    """Return runs, newest first; folders that the index lacks are taken in, rows without a folder are dropped."""
    place = runs_root(root)
    if not place.is_dir():
        return []
    with _open_caught_up(place) as index:
        wanted = "WHERE (:kind IS NULL OR kind = :kind) AND (:status IS NULL OR status = :status)"
        query = f"SELECT {_COLUMNS} FROM runs {wanted} ORDER BY started DESC, id DESC LIMIT :limit"
        rows = index.execute(query, {"kind": kind, "status": status, "limit": -1 if limit is None else limit})
        return [Row(*row) for row in map(_typed, rows)]


def _typed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row of the table with its truth values, which SQLite keeps as 0 and 1."""
    return (*row[:-1], bool(row[-1]))


def find_run(name: str, root: str | Path | None = None) -> StoredRun:
    """Return the run that `name` begins or ends (its whole id, its first or last characters); raise RunError else."""
    place = runs_root(root)
    if not name or not place.is_dir():
        raise RunError(f"no run is called '{name}' in '{place}'; `glassbook runs list` shows what there is")
    found = [folder for folder in _folders(place) if folder.startswith(name) or folder.endswith(name)]
    if name in found:
        found = [name]
    if len(found) != 1:
        what = f"{len(found)} runs are" if found else "no run is"
        near = sorted(found)[:5] or get_close_matches(name, _folders(place), n=3, cutoff=0.5)
        which = f"{':' if found else ', but there is'} {', '.join(near)}" if near else ""
        raise RunError(
            f"{what} called '{name}' in '{place}'{which}; give the whole name as `glassbook runs list` shows it"
        )
    return read_run(place / found[0])


def reindex(root: str | Path | None = None) -> tuple[int, list[str]]:
    """Rebuild the index from the folders; return how many runs it holds and a sentence for each folder it cannot read."""
    place = runs_root(root)
    if not place.is_dir():
        return 0, []
    with _open(place) as index, index:
        index.execute("DELETE FROM runs")
        faults = [fault for name in sorted(_folders(place)) if (fault := _take_in(index, place / name))]
        return index.execute("SELECT count(*) FROM runs").fetchone()[0], faults


def remember(folder: Path) -> None:
    """Write one run into the index of its root; the folder has it already, so a busy index is left to catch up later."""
    with contextlib.suppress(sqlite3.Error, GlassbookError), _open(folder.parent) as index, index:
        _take_in(index, folder)


@contextlib.contextmanager
def _open(place: Path) -> Iterator[sqlite3.Connection]:
    """Yield the index of `place`; raise GlassbookError where it is busy, full or not ours to write, then or later."""
    path = place / INDEX_FILE
    try:
        with contextlib.closing(_connect_anew(path)) as index:
            yield index
    except sqlite3.OperationalError as fault:
        raise GlassbookError(
            f"the index '{path}' cannot be written ({fault}); check the folder and its disk"
        ) from fault


@contextlib.contextmanager
def _open_caught_up(place: Path) -> Iterator[sqlite3.Connection]:
    """Yield an index of every folder: where the one on the disk cannot be written, one in memory, since reading is enough."""
    with contextlib.ExitStack() as stack:
        try:
            index = stack.enter_context(_open(place))
            _catch_up(index, place)
        except (GlassbookError, sqlite3.OperationalError):
            index = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
            _prepare(index)
            _catch_up(index, place)
        yield index


def _connect_anew(path: Path) -> sqlite3.Connection:
    """Return a connection to the index; one that is no database any more is made again, for the folders hold it all."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        for damaged in path.parent.glob(f"{INDEX_FILE}*"):
            damaged.unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        index.execute("PRAGMA journal_mode=WAL")
        index.execute("PRAGMA synchronous=NORMAL")
        _prepare(index)
    except sqlite3.DatabaseError:
        index.close()
        raise
    return index


def _prepare(index: sqlite3.Connection) -> None:
    if index.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("the index is damaged")
    if _version(index) == _VERSION:
        return
    with index:
        index.execute("BEGIN IMMEDIATE")
        # Another process may have made the table while this one waited.
        if _version(index) != _VERSION:
            index.execute("DROP TABLE IF EXISTS runs")
            for statement in (*_TABLE, f"PRAGMA user_version={_VERSION}"):
                index.execute(statement)


def _version(index: sqlite3.Connection) -> int:
    return int(index.execute("PRAGMA user_version").fetchone()[0])


def _catch_up(index: sqlite3.Connection, place: Path) -> None:
    """Take in folders the index lacks and runs that had not ended when it last looked; drop rows without a folder."""
    known = dict(index.execute("SELECT id, status FROM runs").fetchall())
    there = _folders(place)
    # `killed` is what a look at this machine's processes came to, not what the folder says: the next look may differ.
    stale = [name for name in there if known.get(name, "running") in ("running", "killed")]
    gone = known.keys() - there
    if not stale and not gone:
        return
    with index:
        for name in stale:
            _take_in(index, place / name)
        index.executemany("DELETE FROM runs WHERE id = ?", [(name,) for name in gone])


def _take_in(index: sqlite3.Connection, folder: Path) -> str | None:
    """Write one folder's run; return a sentence where it cannot be read."""
    try:
        run = read_run(folder)
    except RunError as fault:
        return str(fault)
    weights, asked = run.record.get("weights") or {}, run.record["asked"]
    label = f"{weights.get('name', '')} {weights.get('dtype', '')}".strip()
    row = (
        run.id,
        run.kind,
        run.status,
        run.record["started"],
        asked.get("seed"),
        label,
        " ".join(asked.get("command", [])),
    )
    places = ", ".join("?" * len(_COLUMNS.split(",")))
    index.execute(
        f"INSERT OR REPLACE INTO runs ({_COLUMNS}) VALUES ({places})", (*row, run.wall_s, run.report is not None)
    )
    return None


def _folders(place: Path) -> set[str]:
    with os.scandir(place) as entries:
        return {entry.name for entry in entries if os.path.exists(os.path.join(entry.path, RUN_FILE))}
