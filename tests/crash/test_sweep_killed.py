"""A sweep killed at any moment goes on from its journal and says the same, bit for bit."""

import json
import multiprocessing
import os
import random
import signal
import time

from glassbook.runs import read_run, resume_run, start_run
from glassbook.runs.reading import read_lines
from glassbook.steering.sweep import sweep
from steering.planted import along, planted_model, quick

ASKED = ("sweep", {"strengths": [0.5, 1.0]})
ROUNDS = 4


def _measure(run=None):
    settings = quick(strengths=(0.5, 1))
    return json.dumps(sweep(planted_model(), along(effect=0.4, letters=0.5), run=run, **settings).to_dict())


def _begin(root):
    with start_run(ASKED[0], ["glassbook"], ASKED[1], root=root, modules=["glassbook.runs"]) as run:
        _measure(run)


def _go_on(folder):
    with resume_run(folder, *ASKED) as run:
        _measure(run)


def _kill(work, place, after_s):
    child = multiprocessing.get_context("fork").Process(target=work, args=(place,))
    child.start()
    time.sleep(after_s)
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def test_killed_again_and_again_a_sweep_loses_nothing_and_ends_as_if_nothing_had_been(tmp_path):
    started = time.perf_counter()
    whole = _measure()
    took, chance = time.perf_counter() - started, random.Random(0)
    _kill(_begin, tmp_path, 0.4 * took)
    (folder,) = tmp_path.glob("*-sweep-*")
    known: list[dict] = []
    for _ in range(ROUNDS):
        assert read_run(folder).status == "killed"
        lines = read_lines(folder / "artifacts" / "sweep.jsonl")
        assert lines[: len(known)] == known, "what was acknowledged stays"
        known = lines
        _kill(_go_on, folder, chance.uniform(0.05, 0.4) * took)
        if read_run(folder).status == "done":
            break
    if read_run(folder).status == "killed":
        with resume_run(folder, *ASKED) as run:
            assert _measure(run) == whole
    stored = read_run(folder)
    assert stored.status == "done" and stored.faults() == []
    assert len(stored.record["history"]) >= 1
    assert {one["status"] for one in stored.record["history"]} == {"killed"}
    keys = [line["key"] for line in read_lines(folder / "artifacts" / "sweep.jsonl")]
    assert len(keys) > 50
