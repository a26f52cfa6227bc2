"""`glassbook verify`: its exit status says whether everything holds, for people and for programs."""

import pytest

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
