"""A pinned run stands in the notebook by itself, once, and only if it ended well and is whole."""

import pytest

from glassbook.core.errors import RunError
from glassbook.notebook.entries import read_entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.kept import kept_runs
from glassbook.notebook.pinning import pin
from glassbook.runs.reading import read_run
from glassbook.runs.record import start_run
from glassbook.views.table import Table

TABLE = Table(title="Numbers", caption="All of them.", columns=("a", "b"), rows=[("one", 2)])


@pytest.fixture
def finished(tmp_path):
    """Return a finished run with one picture and two numbers."""
    with start_run("trial", ["glassbook", "trial", "two words"], {"depth": {"most": 3}}, root=tmp_path / "runs") as run:
        run.save_view("numbers", TABLE)
        run.metric("loss", 2.0, "nats", step=1)
        run.metric("loss", 1.5, "nats", step=2)
        run.metric("odd | name", float("nan"))
    return read_run(run.folder)


def tree(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_run_becomes_a_draft_that_shows_its_pictures_and_last_numbers(small, finished):
    entry = read_entry(pin(finished, small, "A trial"))
    assert (entry.slug, entry.kind, entry.draft, entry.fields["run"]) == ("a-trial", "post", True, finished.id)
    assert f"{{{{view {finished.id}/numbers}}}}" in entry.body
    assert "| loss | 1.5 | nats |" in entry.body and "| loss | 2" not in entry.body
    assert 'glassbook trial "two words"' in entry.body
    kept = kept_runs(small)[finished.id]
    assert kept.view("numbers") == TABLE
    assert "folder" not in kept.record and str(finished.folder) not in str(kept.record)


def test_pinning_again_changes_nothing_even_under_another_title(small, finished):
    path = pin(finished, small)
    before = tree(small)
    assert pin(finished, small, "Another title") == path
    assert tree(small) == before


def test_what_a_person_wrote_on_is_left_as_it_is(small, finished):
    path = pin(finished, small)
    path.write_text(path.read_text(encoding="utf-8") + "\nMy own words.\n", encoding="utf-8")
    before = tree(small)
    assert pin(finished, small) == path
    assert tree(small) == before


def test_another_entry_of_the_same_name_is_not_touched(small, finished):
    other = small / "entries/posts/hello.md"
    before = other.read_bytes()
    path = pin(finished, small, "Hello")
    assert path.name == f"hello-{finished.id[-6:]}.md"
    assert other.read_bytes() == before


def test_a_run_that_failed_or_was_altered_is_refused_and_leaves_nothing(small, finished, tmp_path):
    before = tree(small)
    with pytest.raises(ValueError), start_run("trial", ["glassbook"], {}, root=tmp_path / "runs") as run:
        raise ValueError("no")
    with pytest.raises(RunError, match="is failed, and only a finished run"):
        pin(read_run(run.folder), small)
    view = finished.folder / "views/numbers.json"
    view.write_bytes(view.read_bytes().replace(b"one", b"two"))
    with pytest.raises(RunError, match="is not what it was"):
        pin(finished, small)
    assert tree(small) == before


def test_pictures_beyond_the_limit_are_refused(small, finished, monkeypatch):
    monkeypatch.setattr("glassbook.notebook.pinning.LIMIT", 10)
    with pytest.raises(NotebookError, match="draw fewer items"):
        pin(finished, small)
    assert kept_runs(small) == {}
