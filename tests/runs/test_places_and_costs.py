"""Where runs are kept, and what parts of them cost."""

import mmap
import sys
import time
from pathlib import Path

import pytest

from glassbook.runs.machine import machine, measure, versions
from glassbook.runs.places import runs_root


@pytest.fixture
def nowhere(monkeypatch, tmp_path) -> Path:
    """A working folder with no notebook above it and no variable set."""
    monkeypatch.delenv("GLASSBOOK_RUNS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def test_the_nearest_rule_that_applies_decides(nowhere, monkeypatch, tmp_path):
    if sys.platform == "linux":
        assert runs_root() == tmp_path / "data" / "glassbook" / "runs"
    (tmp_path / "glassbook.toml").write_text("")
    assert runs_root() == tmp_path / "runs"
    (tmp_path / "a" / "glassbook.toml").write_text("")
    assert runs_root() == tmp_path / "a" / "runs"
    monkeypatch.setenv("GLASSBOOK_RUNS", str(tmp_path / "named"))
    assert runs_root() == tmp_path / "named"
    assert runs_root(tmp_path / "given") == tmp_path / "given"


def test_a_folder_called_like_the_notebook_file_is_no_notebook(nowhere, tmp_path):
    (tmp_path / "glassbook.toml").mkdir()
    assert runs_root() != tmp_path / "runs"


def test_wall_time_counts_sleep_and_processor_time_does_not():
    with measure("asleep") as asleep:
        time.sleep(0.2)
    with measure("awake") as awake:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    assert asleep.cost.wall_s >= 0.2 and asleep.cost.cpu_s < 0.1
    assert awake.cost.cpu_s >= 0.2


def test_a_measurement_that_has_ended_changes_no_more():
    with measure("x") as measured:
        pass
    first = measured.cost
    time.sleep(0.01)
    measured.finish()
    assert measured.cost == first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak of memory")
def test_a_block_s_peak_is_its_own_and_an_inner_block_does_not_take_it_away():
    size = 200_000_000
    with measure("outer") as outer:
        # Pages of its own: an allocator could serve this from memory that the process holds already.
        held = mmap.mmap(-1, size)
        held[::4096] = b"x" * (size // 4096 + (size % 4096 > 0))
        held.close()
        with measure("inner") as inner:
            pass
    assert outer.cost.peak_bytes - inner.cost.peak_bytes > size / 2


def test_a_block_that_fails_is_measured_too():
    with pytest.raises(ValueError), measure("broken") as broken:
        raise ValueError
    assert broken.cost.part == "broken" and broken.cost.wall_s >= 0


def test_versions_and_machine_are_told_without_loading_anything():
    assert versions()["python"].count(".") == 2
    assert versions()["torch"] != "not installed"
    assert machine()["cores"] and machine()["memory_bytes"] > 1e8
