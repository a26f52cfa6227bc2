"""The folders are the truth; the index only remembers them."""

import contextlib
import json
import multiprocessing
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from glassbook.core.errors import GlassbookError, RunError
from glassbook.runs import find_run, index, list_runs, reindex, start_run
from glassbook.runs.index import INDEX_FILE, remember


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with three runs: two done, the middle one failed."""
    root = tmp_path / "runs"
    for kind, fault in (("capture", None), ("steer", ValueError("x")), ("steer", None)):
        with contextlib.suppress(ValueError), start_run(kind, ["glassbook", kind], {}, seed=3, root=root) as run:
            run.note_weights({"name": "tiny", "dtype": "float32"})
            if fault:
                raise fault
    return root


def copies(root: Path, count: int) -> list[Path]:
    """Return `count` new run folders, copied from the newest one of `root`."""
    newest = root / list_runs(root, limit=1)[0].id
    made = []
    for number in range(count):
        folder = root / f"{newest.name[:-6]}{os.getpid() % 4096:03x}{number:03x}"
        folder.mkdir()
        shutil.copy(newest / "run.json", folder)
        made.append(folder)
    return made


def test_runs_are_listed_newest_first_with_what_tells_them_apart(root):
    rows = list_runs(root)
    assert [row.started for row in rows] == sorted((row.started for row in rows), reverse=True)
    assert [(row.kind, row.status) for row in rows] == [("steer", "done"), ("steer", "failed"), ("capture", "done")]
    assert {row.seed for row in rows} == {3} and {row.weights for row in rows} == {"tiny float32"}
    assert all(row.wall_s is not None and not row.has_report for row in rows)


def test_kind_status_and_limit_narrow_the_list(root):
    assert len(list_runs(root, kind="steer")) == 2
    assert len(list_runs(root, kind="steer", status="failed")) == 1
    assert list_runs(root, kind="demo") == []
    assert len(list_runs(root, limit=1)) == 1 and len(list_runs(root, limit=None)) == 3


def test_a_deleted_index_is_made_again_and_answers_the_same(root):
    before = list_runs(root)
    for path in root.glob(f"{INDEX_FILE}*"):
        path.unlink()
    assert list_runs(root) == before
    for path in root.glob(f"{INDEX_FILE}*"):
        path.unlink()
    assert reindex(root) == (3, [])
    assert list_runs(root) == before


@pytest.mark.parametrize("damage", ["garbage", "torn", "page", "foreign"])
def test_a_damaged_index_is_made_again(root, damage):
    before, path = list_runs(root), root / INDEX_FILE
    with contextlib.closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"not a database at all, but long enough to be read as one" * 100)
    elif damage == "torn":
        data = data[: len(data) // 2]
    elif damage == "page":
        data[4096:4296] = bytes(200)
    path.write_bytes(data)
    if damage == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as opened:
            opened.executescript("PRAGMA user_version=99; DROP TABLE runs; CREATE TABLE runs (other TEXT)")
    assert list_runs(root) == before


def test_folders_that_come_and_go_are_seen_at_the_next_look(root):
    list_runs(root)
    (new,) = copies(root, 1)
    assert new.name in {row.id for row in list_runs(root)}
    shutil.rmtree(new)
    assert new.name not in {row.id for row in list_runs(root)}
    assert len(list_runs(root)) == 3


def test_a_run_that_was_running_at_the_last_look_is_looked_at_again(root):
    folder = copies(root, 1)[0]
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(
        json.dumps(record | {"status": "running", "process": {"pid": 2**22 + 1, "started": 0}})
    )
    assert {row.id: row.status for row in list_runs(root)}[folder.name] == "killed"
    with start_run("steer", [], {}, root=root) as run:
        assert {row.id: row.status for row in list_runs(root)}[run.id] == "running"
    assert {row.id: row.status for row in list_runs(root)}[run.id] == "done"


def test_a_damaged_folder_is_named_by_reindex_and_hides_no_other(root):
    folder = copies(root, 1)[0]
    (folder / "run.json").write_text('{"kind": ')
    (root / "empty").mkdir()
    count, faults = reindex(root)
    assert count == 3
    assert len(faults) == 1 and folder.name in faults[0] and "is damaged" in faults[0]
    assert len(list_runs(root)) == 3


def test_a_run_is_found_by_its_name_its_beginning_or_its_end(root):
    row = list_runs(root)[0]
    assert find_run(row.id, root).id == row.id
    assert find_run(row.id[-6:], root).id == row.id
    assert find_run(row.id[:-1], root).id == row.id


def test_a_name_of_several_runs_or_of_none_names_candidates(root):
    with pytest.raises(RunError, match=r"3 runs are called '20.*steer"):
        find_run("20", root)
    row = list_runs(root)[0]
    with pytest.raises(RunError, match=f"no run is called.*{row.id}"):
        find_run(row.id[:-1] + "xx", root)
    for nothing in ("", "../runs", "zzz"):
        with pytest.raises(RunError, match="no run is called"):
            find_run(nothing, root)


def test_a_root_that_is_not_there_holds_no_runs(tmp_path):
    assert list_runs(tmp_path / "none") == []
    assert reindex(tmp_path / "none") == (0, [])
    assert not (tmp_path / "none").exists()


def test_where_no_index_can_be_written_runs_are_listed_and_recorded_all_the_same(root):
    before = list_runs(root)
    for path in root.glob(f"{INDEX_FILE}*"):
        path.unlink()
    (root / INDEX_FILE).mkdir()
    assert list_runs(root) == before
    with start_run("steer", [], {}, root=root) as run:
        pass
    assert list_runs(root)[0].id == run.id


def test_an_index_that_is_busy_or_full_hides_no_run_and_reindex_says_why(root, monkeypatch):
    list_runs(root)
    (new,) = copies(root, 1)
    monkeypatch.setattr(index, "_BUSY_S", 0.05)
    with contextlib.closing(sqlite3.connect(root / INDEX_FILE)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert new.name in {row.id for row in list_runs(root)}
        with pytest.raises(GlassbookError, match=r"index\.sqlite' cannot be written \(database is locked\)"):
            reindex(root)
        other.rollback()
    assert reindex(root) == (4, [])


def test_a_run_taken_for_killed_that_ends_after_all_is_shown_as_done(root):
    folder = copies(root, 1)[0]
    done = (folder / "run.json").read_text()
    gone = json.loads(done) | {"status": "running", "process": {"pid": 2**22 + 1, "started": 0}}
    (folder / "run.json").write_text(json.dumps(gone))
    assert {row.id: row.status for row in list_runs(root)}[folder.name] == "killed"
    (folder / "run.json").write_text(done)
    assert {row.id: row.status for row in list_runs(root)}[folder.name] == "done"


def _take_in(folders: list[Path], start, faults) -> None:
    start.wait()
    try:
        for folder in folders:
            remember(folder)
        list_runs(folders[0].parent, limit=None)
    except BaseException as fault:
        faults.put(repr(fault))
        raise


def test_two_processes_write_500_rows_each_while_a_third_reads(root):
    folders = copies(root, 1000)
    for path in root.glob(f"{INDEX_FILE}*"):
        path.unlink()
    fork = multiprocessing.get_context("fork")
    start, faults = fork.Event(), fork.SimpleQueue()
    writers = [fork.Process(target=_take_in, args=(half, start, faults)) for half in (folders[:500], folders[500:])]
    for writer in writers:
        writer.start()
    start.set()
    counts = []
    while any(writer.is_alive() for writer in writers):
        counts.append(len(list_runs(root, limit=None)))
    for writer in writers:
        writer.join()
    assert faults.empty() and [writer.exitcode for writer in writers] == [0, 0]
    assert set(counts) == {1003}
    with contextlib.closing(sqlite3.connect(root / INDEX_FILE)) as opened:
        assert opened.execute("SELECT count(*) FROM runs").fetchone() == (1003,)
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_table_that_another_process_has_just_made_is_kept(root, monkeypatch):
    list_runs(root)
    real, stale = index._version, iter([0])
    # What a process reads before it waits for the other one to finish.
    monkeypatch.setattr(index, "_version", lambda connection: next(stale, real(connection)))
    with contextlib.closing(index._connect(root / INDEX_FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (3,)
    assert next(stale, "asked") == "asked"
