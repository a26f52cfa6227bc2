"""A run that was cut short can be gone on with: the same question, weights and code, or a sentence that says what differs."""

import json

import pytest

from glassbook.core.errors import RunError
from glassbook.runs import list_runs, read_run, resume_run, resuming, start_run
from glassbook.runs.reading import read_lines

WEIGHTS = {"fingerprint": "aa" * 32, "name": "one"}


@pytest.fixture
def stopped(tmp_path):
    """Return the folder of a run that Ctrl-C stopped after some lines."""
    with (
        pytest.raises(KeyboardInterrupt),
        start_run("sweep", ["glassbook"], {"layers": [1, 2]}, seed=3, root=tmp_path, modules=["glassbook.runs"]) as run,
    ):
        run.note_weights(WEIGHTS)
        run.note_data("rows", "00", 4, "CC0")
        run.metric("m", 1.0)
        run.append("journal", [{"key": "a", "value": 0.1}, {"key": "b", "value": float("inf")}])
        run.save_json("early", {"x": 1})
        raise KeyboardInterrupt
    return run.folder


def go_on(which, config=None, **changes):
    """Return the context of the stopped run resumed."""
    options = {"seed": 3, "weights": WEIGHTS} | changes
    return resume_run(which, "sweep", {"layers": [1, 2]} if config is None else config, **options)


@pytest.mark.parametrize("by", ["folder", "name"])
def test_a_run_goes_on_with_all_it_had_and_ends_whole(stopped, by):
    before = read_run(stopped)
    assert before.status == "interrupted" and before.faults() == []
    which, root = (stopped, None) if by == "folder" else (stopped.name, stopped.parent)
    with go_on(which, root=root) as run:
        assert run.id == stopped.name and read_run(stopped).status == "running"
        assert read_lines(run.journal("journal")) == [{"key": "a", "value": 0.1}, {"key": "b", "value": "Infinity"}]
        run.append("journal", [{"key": "c", "value": 2}])
        run.metric("m", 2.0)
        run.note_data("rows", "00", 4, "CC0")
        run.save_json("early", {"x": 2})
    after = read_run(stopped)
    assert after.status == "done" and after.faults() == []
    assert [row["value"] for row in after.metrics()] == [1.0, 2.0]
    assert [row["key"] for row in read_lines(run.journal("journal"))] == ["a", "b", "c"]
    assert json.loads((stopped / "artifacts" / "early.json").read_text()) == {"x": 2}
    assert len(after.record["data"]) == 1
    (attempt,) = after.record["history"]
    assert (attempt["status"], attempt["error"]) == ("interrupted", "stopped by Ctrl-C")
    assert attempt["cost"]["total"]["wall_s"] >= 0 and attempt["process"] == before.record["process"]
    assert [row.status for row in list_runs(stopped.parent)] == ["done"]


def test_every_attempt_is_remembered(stopped):
    for _ in range(2):
        with pytest.raises(ValueError, match="again"), go_on(stopped):
            raise ValueError("again")
    assert [one["status"] for one in read_run(stopped).record["history"]] == ["interrupted", "failed"]
    assert read_run(stopped).status == "failed"


def test_half_a_line_is_cut_off_before_anything_is_added(stopped):
    for name in ("metrics.jsonl", "artifacts/journal.jsonl"):
        with open(stopped / name, "ab") as file:
            file.write(b'{"name": "m", "val')
    with go_on(stopped) as run:
        run.metric("m", 2.0)
        run.append("journal", [{"key": "c"}])
    assert [row["value"] for row in read_run(stopped).metrics()] == [1.0, 2.0]
    assert [row["key"] for row in read_lines(run.journal("journal"))] == ["a", "b", "c"]


def test_another_question_weights_or_code_is_refused_and_nothing_is_touched(stopped, monkeypatch):
    before = (stopped / "run.json").read_bytes()
    other = WEIGHTS | {"fingerprint": "bb" * 32}
    for context, words in (
        (go_on(stopped, config={"layers": [1, 3]}), "other options were asked for then"),
        (go_on(stopped, seed=4), "other options were asked for then"),
        (resume_run(stopped, "steer", {"layers": [1, 2]}, seed=3), "other options were asked for then"),
        (go_on(stopped, weights=other), "it was made on weights aaaaaaaaaaaaaaaa and these are bbbbbbbbbbbbbbbb"),
    ):
        with pytest.raises(RunError, match=words), context:
            raise AssertionError("it went on")
    monkeypatch.setattr(resuming, "code_hash", lambda *named: "changed")
    with pytest.raises(RunError, match="the code behind it has changed; start another run"), go_on(stopped):
        raise AssertionError("it went on")
    assert (stopped / "run.json").read_bytes() == before and read_run(stopped).faults() == []
    monkeypatch.undo()
    with go_on(stopped):
        pass
    assert read_run(stopped).status == "done", "the control: the same question goes on"


def test_what_is_done_or_still_at_work_is_not_gone_on_with(tmp_path, stopped):
    with go_on(stopped), pytest.raises(RunError, match="is still at work in process"), go_on(stopped):
        raise AssertionError("two processes at one run")
    with pytest.raises(RunError, match="is done, so there is nothing to go on with"), go_on(stopped):
        raise AssertionError("it went on")
    with pytest.raises(RunError, match="no run is called 'nothing'"), go_on("nothing", root=tmp_path):
        raise AssertionError("it went on")


def test_a_new_run_still_refuses_to_replace_its_own_files(stopped):
    with go_on(stopped) as run:
        run.save_json("late", 1)
        with pytest.raises(RunError, match=r"holds 'artifacts/late.json' already"):
            run.save_json("late", 2)
        with pytest.raises(RunError, match="cannot name a file of a run"):
            run.append("../journal", [1])
