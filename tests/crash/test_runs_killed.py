"""A run can be killed at any moment: what was acknowledged is there, and everything else still works."""

import contextlib
import errno
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.runs import list_runs, read_run, record, reindex, start_run

ROUNDS = 40


def _work(root: Path, acknowledged: int) -> None:
    """Write without end; each step is written to the pipe only after the call that makes it durable has returned."""
    with start_run("steer", ["glassbook"], {}, root=root) as run:
        for step in range(1_000_000):
            run.metric("m", step / 7, step=step)
            os.write(acknowledged, b"%d\n" % step)
            if step % 5 == 0:
                run.save_json(f"file-{step}", {"step": step, "text": "x" * 2000})
                run.note_data(f"d{step}", "00", step, "CC0")


def _work_carelessly(root: Path, acknowledged: int) -> None:
    """Do the same with metrics that wait in memory, as a writer would that does not sync."""
    waiting: list[bytes] = []
    record._append = lambda path, line: waiting.append(line)
    _work(root, acknowledged)


def _kill_one(root: Path, after_s: float, work=_work) -> list[int]:
    """Return the steps that a child had acknowledged when it was killed."""
    reading, writing = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=work, args=(root, writing))
    child.start()
    os.close(writing)
    time.sleep(after_s)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with open(reading, "rb") as pipe:
        return [int(line) for line in pipe.read().split()]


def test_killed_at_random_moments_a_run_loses_nothing_that_was_acknowledged(tmp_path):
    chance, seen = random.Random(0), set()
    for _ in range(ROUNDS):
        acknowledged = _kill_one(tmp_path, chance.uniform(0.0, 0.12))
        (new,) = set(tmp_path.glob("*-steer-*")) - seen or {None}
        seen |= {new} - {None}
        if new is None or not (new / "run.json").exists():
            assert not acknowledged
            continue
        stored = read_run(new)
        assert stored.status == "killed"
        steps = [row["step"] for row in stored.metrics()]
        assert steps[: len(acknowledged)] == acknowledged
        assert len(steps) - len(acknowledged) in (0, 1)
        for path in (new / "artifacts").glob("*.json"):
            assert set(json.loads(path.read_text())) == {"step", "text"}
    whole = [folder for folder in seen if (folder / "run.json").exists()]
    assert len(whole) > ROUNDS // 2
    assert {row.status for row in list_runs(tmp_path, limit=None)} == {"killed"}
    assert reindex(tmp_path) == (len(whole), [])


def test_control_a_writer_that_does_not_sync_is_caught(tmp_path):
    acknowledged = _kill_one(tmp_path, 0.3, _work_carelessly)
    (folder,) = tmp_path.glob("*-steer-*")
    assert len(acknowledged) > 0 and read_run(folder).metrics() == []


def test_control_half_a_line_at_the_end_is_left_out_and_half_a_line_in_the_middle_is_told(tmp_path):
    with start_run("steer", [], {}, root=tmp_path) as run:
        run.metric("m", 1.0)
        run.metric("m", 2.0)
    path = run.folder / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert [row["value"] for row in read_run(run.folder).metrics()] == [1.0]
    path.write_bytes(whole[5:])
    with pytest.raises(GlassbookError, match="is damaged"):
        read_run(run.folder).metrics()


def test_a_full_disk_is_one_clear_error_and_the_run_is_marked_failed(tmp_path):
    with (
        pytest.raises(GlassbookError, match="the disk is full") as caught,
        start_run("steer", [], {}, root=tmp_path) as run,
    ):
        run.metric("m", 1.0)
        kept = run.folder / "kept.jsonl"
        (run.folder / "metrics.jsonl").rename(kept)
        (run.folder / "metrics.jsonl").symlink_to("/dev/full")
        try:
            run.metric("m", 2.0)
        finally:
            (run.folder / "metrics.jsonl").unlink()
            kept.rename(run.folder / "metrics.jsonl")
    assert not hasattr(caught.value, "__notes__")
    stored = read_run(run.folder)
    assert stored.status == "failed" and "the disk is full" in stored.record["error"]
    assert [row["value"] for row in stored.metrics()] == [1.0]
    assert stored.faults() == []


@pytest.fixture
def tiny_disk(tmp_path):
    """Yield a folder on a file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount; the same laws are tested with simulated full disks below and above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        for piece in (b"x" * 4096, b"x"):
            with contextlib.suppress(OSError):
                while True:
                    file.write(piece)


def test_on_a_truly_full_disk_metric_end_list_and_start_are_one_sentence_each_and_nothing_is_lost(tiny_disk):
    full, acknowledged = tiny_disk / "full", []
    with pytest.raises(GlassbookError, match="the disk is full"), start_run("steer", [], {}, root=tiny_disk) as first:
        first.metric("m", 0, step=0)
        _fill(full)
        for step in range(1, 1000):
            acknowledged.append(step - 1)
            first.metric("m", step, step=step)
    with pytest.raises(GlassbookError), start_run("steer", [], {}, root=tiny_disk):
        raise AssertionError("a run began on a full disk")
    full.unlink()
    with pytest.raises(GlassbookError, match="the disk is full"), start_run("steer", [], {}, root=tiny_disk) as second:
        second.metric("m", 0, step=0)
        _fill(full)
    for run, steps in ((first, acknowledged), (second, [0])):
        assert [row["step"] for row in read_run(run.folder).metrics()] == steps
    assert {first.id, second.id} <= {row.id for row in list_runs(tiny_disk)}
    full.unlink()
    with start_run("steer", [], {}, root=tiny_disk) as third:
        third.metric("m", 0)
    assert read_run(third.folder).status == "done" and read_run(third.folder).faults() == []


def test_where_the_end_cannot_be_written_either_the_first_fault_is_the_one_that_is_raised(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ValueError, match="the cause") as caught, start_run("steer", [], {}, root=tmp_path) as run:
        run.metric("m", 1.0)
        monkeypatch.setattr(record, "write_json", full)
        raise ValueError("the cause")
    assert "could not be marked as ended" in caught.value.__notes__[0]
    assert read_run(run.folder).record["status"] == "running"
    assert len(read_run(run.folder).metrics()) == 1


def test_a_run_whose_end_cannot_be_written_is_never_called_done(tmp_path, monkeypatch):
    def full(*_):
        raise GlassbookError("the disk is full")

    with pytest.raises(GlassbookError, match="the disk is full"), start_run("steer", [], {}, root=tmp_path) as run:
        monkeypatch.setattr(record, "write_manifest", full)
    assert read_run(run.folder).status == "failed"


LIMITED = """
import resource, sys
from glassbook.core.errors import GlassbookError
from glassbook.runs import start_run
acknowledged = 0
try:
    with start_run("steer", [], {}, root=sys.argv[1]) as run:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        while True:
            run.metric("m", acknowledged)
            acknowledged += 1
except GlassbookError as error:
    print(acknowledged, error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system cannot limit the size of files")
def test_a_metric_that_fits_only_in_part_leaves_no_part_of_itself(tmp_path):
    said = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    acknowledged = int(said.stdout.split()[0])
    (row,) = list_runs(tmp_path)
    metrics = (tmp_path / row.id / "metrics.jsonl").read_bytes()
    assert acknowledged > 10 and metrics.endswith(b"\n") and metrics.count(b"\n") == acknowledged
    assert row.status in ("failed", "killed")


def test_two_processes_write_500_metrics_each_while_a_third_reads(tmp_path):
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write_500, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for row in list_runs(tmp_path):
            steps = [metric["step"] for metric in read_run(tmp_path / row.id).metrics()]
            assert steps == list(range(len(steps)))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    rows = list_runs(tmp_path)
    assert [row.status for row in rows] == ["done", "done"]
    assert all(len(read_run(tmp_path / row.id).metrics()) == 500 for row in rows)


def _write_500(root: Path) -> None:
    with start_run("steer", [], {}, root=root) as run:
        for step in range(500):
            run.metric("m", step, step=step)
