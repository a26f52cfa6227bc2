"""A sweep may be stopped anywhere: what was measured is kept, and what comes out is the same to the last bit."""

import json
from pathlib import Path
from typing import Any

import pytest

from glassbook.core.errors import InputError, RunError
from glassbook.runs import read_run, resume_run, start_run
from glassbook.runs.reading import read_lines
from glassbook.steering.passages import Passages
from glassbook.steering.sweep import sweep
from glassbook.steering.sweeps.journal import Journal
from glassbook.steering.sweeps.result import Sweep
from steering.planted import INSTRUCTION, along, planted_model, quick

VECTOR = along(effect=0.4, letters=0.5)


def measure(run: Any = None, **changes: Any) -> Sweep:
    """Return the sweep of these tests."""
    return sweep(planted_model(), VECTOR, **quick(instruction=INSTRUCTION, strengths=(0.5, 1)) | changes, run=run)


@pytest.fixture(scope="module")
def whole() -> str:
    """Return all that the sweep says when nothing stops it."""
    return json.dumps(measure().to_dict())


@pytest.mark.parametrize("stop_at", [1, 7, 40, 73])
def test_ctrl_c_keeps_what_is_done_and_the_rest_comes_out_bit_for_bit(tmp_path: Path, whole: str, stop_at: int) -> None:
    stopped = stop_after(stop_at, tmp_path)
    assert read_run(stopped).status == "interrupted"
    kept = [line["key"] for line in read_lines(stopped / "artifacts" / "sweep.jsonl")]
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch, resume_run(stopped, "sweep", {"a": 1}) as run:
        put = Journal.put
        patch.setattr(Journal, "put", lambda journal, values: asked.extend(values) or put(journal, values))
        found = measure(run)
    assert json.dumps(found.to_dict()) == whole
    assert kept and not set(kept) & set(asked), "nothing that was kept is measured again"
    assert read_run(stopped).status == "done" and read_run(stopped).faults() == []


def test_a_torn_last_line_costs_its_own_unit_only(tmp_path: Path, whole: str) -> None:
    stopped = stop_after(60, tmp_path)
    journal = stopped / "artifacts" / "sweep.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    with resume_run(stopped, "sweep", {"a": 1}) as run:
        assert json.dumps(measure(run).to_dict()) == whole


def test_the_run_holds_every_cell_and_the_sweep_with_a_run_is_the_sweep_without(tmp_path: Path, whole: str) -> None:
    with start_run("sweep", [], {"a": 1}, root=tmp_path) as run:
        assert json.dumps(measure(run).to_dict()) == whole
        with pytest.raises(RunError, match="holds another sweep's measurements; start another run"):
            measure(run, budget=1.2)
        calls: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Passages, "scores", lambda *_: calls.append(1))
            again = measure(run)
    assert json.dumps(again.to_dict()) == whole and not calls, "all of it was in the journal"
    keys = {line["key"] for line in read_lines(run.journal("sweep"))}
    for name in ("vector", "flipped", "random 0", "random 19"):
        assert {f"choosing/{name}/L{layer}/{by}" for layer in (1, 2) for by in (0.5, 1.0)} <= keys


def test_control_the_numbers_do_depend_on_the_measurements(tmp_path: Path, whole: str) -> None:
    stopped = stop_after(40, tmp_path)
    journal = stopped / "artifacts" / "sweep.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["key"].startswith("choosing/vector"):
            line["value"][0][0] += 1e-9
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with resume_run(stopped, "sweep", {"a": 1}) as run:
        assert json.dumps(measure(run).to_dict()) != whole


def test_a_run_whose_cells_all_fail_is_kept_with_the_reason(tmp_path: Path) -> None:
    def fussy(text: str) -> float:
        raise RuntimeError("never")

    with pytest.raises(InputError, match="every cell of the grid failed"), start_run("s", [], {}, root=tmp_path) as run:
        measure(run, effect=fussy, items=["ab", "cd", "ef", "gh"])
    stored = read_run(run.folder)
    assert stored.status == "failed" and "'fussy' raised RuntimeError: never" in stored.record["error"]
    cells = [line for line in read_lines(run.journal("sweep")) if line["key"].startswith("choosing/vector")]
    assert len(cells) == 4 and all("raised RuntimeError" in line["value"][1] for line in cells)


def test_progress_counts_up_to_its_total() -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    measure(progress=lambda what, done, total: seen.setdefault(what, []).append((done, total)))
    assert "grid of layers and strengths" in seen and "writing beside the controls" in seen
    for said in seen.values():
        assert said == sorted(said) and said[-1][0] == said[-1][1]
    assert seen["grid of layers and strengths"][-1] == (2 * 2 * 22, 2 * 2 * 22)


def stop_after(n: int, root: Path) -> Path:
    """Return the folder of a run in which Ctrl-C came after `n` acknowledgements of the journal."""
    count = iter(range(n))
    put = Journal.put

    def counted(journal: Journal, values: Any) -> None:
        put(journal, values)
        if next(count, None) is None:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "put", counted)
        with pytest.raises(KeyboardInterrupt), start_run("sweep", [], {"a": 1}, root=root) as run:
            measure(run)
    return run.folder
