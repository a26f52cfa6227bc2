"""A study killed at any moment, again and again, ends with the bits of one that was not."""

import multiprocessing
import os
import random
import signal
import time

from glassbook.runs import read_run
from glassbook.studies.records import items_folder, journal_of, read_cells, stored_runs
from glassbook.studies.running import find
from studies.toy.study import Toy  # noqa: F401 (importing it registers the study)

TAKES_S = 0.1


def _measure(root, told):
    os.environ |= {"TOY_TAKES_S": str(TAKES_S), "TOY_TELLS": str(told)}
    find("toy").run(root=root)


def _kill_in_a_cell(root, told, after_s):
    """Kill a child some time after it began a cell."""
    before = told.read_text() if told.exists() else ""
    child = multiprocessing.get_context("fork").Process(target=_measure, args=(root, told))
    child.start()
    while child.is_alive() and (not told.exists() or told.read_text() == before):
        time.sleep(0.01)
    time.sleep(after_s)
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def _items(folder):
    return {path.stem: path.read_bytes() for path in items_folder(folder).glob("*.npz")}


def test_killed_again_and_again_a_study_measures_no_cell_twice_and_ends_as_if_nothing_had_been(tmp_path):
    whole, root, chance = find("toy").run(root=tmp_path / "whole"), tmp_path / "killed", random.Random(0)
    known: list[str] = []
    for after_s in (0.0, chance.uniform(0, TAKES_S), 1.5 * TAKES_S, chance.uniform(0, TAKES_S)):
        _kill_in_a_cell(root, tmp_path / "told", after_s)
        (run,) = stored_runs(root)
        assert run.status == "killed"
        cells = [cell.arm for cell in read_cells(journal_of(run.folder))]
        assert cells[: len(known)] == known, "what was measured stays"
        known = cells
    done = find("toy").run(root=root)
    assert done.status == "done" and done.faults() == []
    assert len(list(root.glob("*-study-*"))) == 1, "one run was gone on with, and no other begun"
    assert _items(done.folder) == _items(whole.folder) and len(_items(done.folder)) == 4
    attempts = read_run(done.folder).record["history"]
    assert [attempt["status"] for attempt in attempts] == ["killed"] * 4
