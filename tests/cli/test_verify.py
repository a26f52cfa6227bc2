"""`glassbook verify`: its exit status says whether everything holds, for people and for programs."""

import pytest

from glassbook.runs.record import start_run
from glassbook.studies.running import find
from studies.toy.study import Toy


@pytest.fixture
def notebook(tmp_path, cli):
    """A notebook around the test's working folder, with the toy study's results."""
    (tmp_path / "glassbook.toml").write_text('title = "Notes"\n')
    find("toy").run_all()
    assert cli("study", "report", "toy").status == 0
    return tmp_path


def test_the_exit_status_is_1_where_a_page_a_note_or_a_claim_does_not_hold(cli, notebook, monkeypatch):
    assert cli("verify", "toy", "--check").status == 0
    note = notebook / "entries/note.md"
    note.write_text("It adds [1.5](run:toy/laptop#larger.estimate).\n")
    told = cli("verify", "toy", "--check")
    assert told.status == 1 and "it states '1.5'" in told.out
    note.write_bytes(b"\xff run:")
    assert cli("verify", "toy", "--check").status == 1
    note.unlink()
    monkeypatch.setattr(Toy, "rows_now", "b" * 64)
    told = cli("verify", "toy", "--check", "--json")
    assert told.status == 1
    assert told.json()["findings"][0]["stale"] == {"larger": ["numbers"], "twice-as-large": ["numbers"]}


def test_what_is_stale_is_measured_again_and_then_holds(cli, notebook, monkeypatch):
    monkeypatch.setattr(Toy, "rows_now", "b" * 64)
    told = cli("verify", "toy")
    assert told.status == 0 and "measured again, 0 of 2 claims moved" in told.out
    assert cli("verify", "toy", "--check").status == 0


def test_without_results_and_with_an_unknown_name_it_says_so(cli, notebook):
    assert cli("verify", "toys").is_one_sentence()
    assert cli("verify", "toy", "--notebook", "nowhere").is_one_sentence()


def test_numbers_of_pinned_runs_are_held_in_every_entry_and_their_files_to_their_checksums(cli, notebook):
    with start_run("trial", ["glassbook", "trial"], {}) as run:
        run.metric("loss", 0.25, "nats")
    assert cli("pin", run.id, "--title", "A trial").status == 0
    assert cli("verify", "toy", "--check").status == 0
    entry, kept = notebook / "entries/posts/a-trial.md", notebook / f"entries/runs/{run.id}/metrics.jsonl"
    entry.write_text(entry.read_text(encoding="utf-8").replace("[0.25]", "[0.27]"), encoding="utf-8")
    told = cli("verify", "toy", "--check")
    assert told.status == 1 and f"it states '0.27' and run:{run.id}#loss has 0.25" in told.out
    kept.write_text(kept.read_text(encoding="utf-8").replace("0.25", "0.27"), encoding="utf-8")
    told = cli("verify", "toy", "--check")
    assert told.status == 1 and "it states" not in told.out, "the copy says what the entry says now"
    assert f"✗ entries/runs/{run.id}: 1 faults" in told.out and f"`glassbook pin {run.id}`" in told.out
    assert cli("pin", run.id).status == 0
    assert "it states '0.27'" in cli("verify", "toy", "--check").out
