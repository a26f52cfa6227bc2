"""`glassbook pin`: for people and programs, the newest run by `latest`, and one sentence where it cannot be."""

import pytest

from glassbook.runs.record import start_run


@pytest.fixture
def run(tmp_path):
    """Return a finished run, in a notebook that lies around the test's working folder."""
    (tmp_path / "glassbook.toml").write_text('[notebook]\ntitle = "Notes"\n', encoding="utf-8")
    with start_run("trial", ["glassbook", "trial"], {}) as made:
        made.metric("loss", 0.25)
    return made


def test_the_newest_run_becomes_a_draft_once(cli, run, tmp_path):
    told = cli("pin", "latest", "--title", "What came out", "--json")
    path = tmp_path / "entries/posts/what-came-out.md"
    assert told.status == 0 and told.json() == {"run": run.id, "entry": str(path)}
    before = path.read_bytes()
    assert b"draft: true" in before
    again = cli("pin", run.id[-6:])
    assert again.status == 0 and str(path) in again.out and path.read_bytes() == before


def test_what_cannot_be_pinned_is_told_in_one_sentence_and_writes_nothing(cli, run, tmp_path):
    (run.folder / "metrics.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), start_run("trial", ["glassbook", "trial"], {}) as stopped:
        raise KeyboardInterrupt
    for name in (run.id, stopped.id, "nothing-of-this-name"):
        assert cli("pin", name).is_one_sentence()
    assert cli("pin", run.id, "--notebook", "nowhere").is_one_sentence()
    assert not (tmp_path / "entries").exists()
