"""A pinned run stands in the notebook by itself, once, and only if it ended well and is whole."""

import pytest
from hypothesis import given, settings
from hypothesis.strategies import characters, text

from glassbook.core.errors import EvidenceError, GlassbookError, RunError
from glassbook.files.manifest import verify_manifest
from glassbook.notebook.drafting import as_text
from glassbook.notebook.entries import read_entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.kept import Known, kept_runs
from glassbook.notebook.live import Measurements, private_runs
from glassbook.notebook.markdown import render
from glassbook.notebook.notebook import open_notebook
from glassbook.notebook.pinning import pin
from glassbook.notebook.resolving import EntryResolver
from glassbook.notebook.run_pages import run_pages
from glassbook.runs.reading import read_run
from glassbook.runs.record import start_run
from glassbook.studies.numbers import Kept, says, wrong_numbers
from glassbook.views.table import Table
from notebook.markdown.known import page

TABLE = Table(title="Numbers", caption="All of them.", columns=("a", "b"), rows=[("one", 2)])


@pytest.fixture
def finished(tmp_path):
    """Return a finished run with one picture and two numbers."""
    with start_run("trial", ["glassbook", "trial", "two words"], {"depth": {"most": 3}}, root=tmp_path / "runs") as run:
        run.save_view("numbers", TABLE)
        run.metric("loss", 2.0, "nats", step=1)
        run.metric("loss", 1.5, "nats", step=2)
        run.metric("odd | name", float("nan"))
        run.save_json("sweep", {"sentence": "It *moved* by $2 [1]{{view x/y}} run:z.", "chosen": 3})
        run.save_json("grid", [1, 2])
    return read_run(run.folder)


def measured(root, changed=frozenset()):
    return Measurements(root, Known(Kept(root), lambda study: None, says, {}, changed))


def shown(root, path, changed=frozenset()):
    """Return the rendered text of an entry of a notebook, whose run pages lie beside its folder."""
    notebook, entry = open_notebook(root), read_entry(path)
    return render(entry.body, EntryResolver(notebook, measured(root, changed), entry), path=str(path))


def tree(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_run_becomes_a_draft_that_shows_its_pictures_and_last_numbers(small, finished):
    entry = read_entry(pin(finished, small, "A trial"))
    assert (entry.slug, entry.kind, entry.draft, entry.fields["run"]) == ("a-trial", "post", True, finished.id)
    assert f"{{{{view {finished.id}/numbers}}}}" in entry.body
    assert f"| loss | [1.5](run:{finished.id}#loss) | nats |" in entry.body and "| loss | [2" not in entry.body
    assert "$ glassbook trial 'two words'" in entry.body
    assert entry.summary == "It *moved* by $2 [1]{{view x/y}} run:z."
    kept = kept_runs(small)[finished.id]
    assert kept.view("numbers") == TABLE
    assert "folder" not in kept.record and str(finished.folder) not in str(kept.record)


def test_the_draft_shows_words_pictures_and_held_numbers_that_lead_to_the_page_of_the_run(small, finished):
    found = shown(small, pin(finished, small))
    assert "It *moved* by $2 [1]{{view x/y}} run:z." in found.text
    assert f'href="../runs/{finished.id}.html#numbers"' in found.html
    assert ">1.5</a>" in found.html and ">nan</a>" in found.html
    assert "<figure" in found.html and f"From the run {finished.id}." in found.html
    [whole] = run_pages(measured(small))
    assert whole.address == f"runs/{finished.id}.html" and 'id="numbers"' in whole.body
    for said in (
        "It *moved* by $2",
        "glassbook trial &#39;two words&#39;",
        "glassbook.cli.app",
        "depth.most",
        "SHA-256",
    ):
        assert said in whole.body
    assert "stale" not in found.html
    assert "measured stale" in shown(small, pin(finished, small), frozenset({finished.id})).html, "control"


def test_a_number_of_a_pinned_run_is_held_at_its_last_value_or_at_a_step(small, finished):
    path = pin(finished, small)
    assert wrong_numbers(path, Kept(small)) == []
    numbers = Kept(small)
    assert (numbers.value(finished.id, "loss"), numbers.value(finished.id, "loss@1")) == (1.5, 2.0)
    assert numbers.value(finished.id, "odd | name") == "nan"
    for field in ("loss@7", "lost"):
        with pytest.raises(EvidenceError, match=f"measured no '{field}'"):
            numbers.value(finished.id, field)
    with pytest.raises(EvidenceError, match="`glassbook pin other` copies it there"):
        numbers.value("other", "loss")
    path.write_text(path.read_text(encoding="utf-8").replace("[1.5]", "[1.4]"), encoding="utf-8")
    [told] = wrong_numbers(path, Kept(small))
    assert "it states '1.4'" in told
    with pytest.raises(NotebookError, match=r"the text states '1\.4'"):
        shown(small, path)


WORDS = text(characters(codec="utf-8", exclude_categories=("Cc", "Cs"))) | text("[]{}$*_`\\\\|<>&#:.-=+@!()1 ab")


@settings(max_examples=60)
@given(WORDS)
def test_words_become_markdown_that_shows_just_these_words(said):
    shown = page(as_text(said))
    assert (shown.text.split(), shown.mentions, shown.cited) == (said.split(), (), ())


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


def test_a_run_that_only_a_private_entry_is_about_has_no_page_and_no_text_may_show_it(small, finished):
    path = pin(finished, small)
    text = path.read_text(encoding="utf-8")
    assert private_runs(open_notebook(small).entries) == frozenset()
    path.write_text(text.replace("draft: true", "private: true"), encoding="utf-8")
    hidden = private_runs(open_notebook(small).entries)
    assert hidden == {finished.id}
    ours = Measurements(small, measured(small).known, hidden=hidden)
    assert run_pages(ours) == []
    for ask in (lambda: ours.view(f"{finished.id}/numbers"), lambda: ours.number(finished.id, "loss", "1.5")):
        with pytest.raises(NotebookError, match="belongs to a private entry"):
            ask()
    (path.parent / "public.md").write_text(text, encoding="utf-8")
    assert private_runs(open_notebook(small).entries) == frozenset(), "control: a public entry is about it too"


@pytest.mark.parametrize(
    "name, left", [("run.json", "{}"), ("run.json", "["), ("metrics.jsonl", "{}\n"), ("views/numbers.json", "{")]
)
def test_a_damaged_copy_is_told_in_one_sentence(small, finished, name, left):
    path = pin(finished, small)
    (small / "entries/runs" / finished.id / name).write_text(left, encoding="utf-8")
    with pytest.raises(GlassbookError, match="damaged"):
        run_pages(measured(small))
    if name == "metrics.jsonl":
        assert "damaged" in wrong_numbers(path, Kept(small))[0]


def test_an_entry_that_moved_to_another_folder_is_still_the_one_of_its_run(small, finished):
    path = pin(finished, small)
    moved = small / "entries/log" / "my-run.md"
    moved.parent.mkdir()
    path.rename(moved)
    assert pin(finished, small, "A title") == moved


def test_a_copy_that_was_altered_is_made_again(small, finished):
    pin(finished, small)
    folder = small / "entries/runs" / finished.id
    assert verify_manifest(folder) == []
    before = tree(small)
    (folder / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    assert verify_manifest(folder)
    pin(finished, small)
    assert tree(small) == before


def test_another_entry_of_the_same_name_is_not_touched(small, finished):
    other = small / "entries/posts/hello.md"
    before = other.read_bytes()
    path = pin(finished, small, "Hello")
    assert path.name == f"hello-{finished.id[-6:]}.md"
    assert other.read_bytes() == before
    path.unlink()
    assert pin(finished, small, "Attention head").name == f"attention-head-{finished.id[-6:]}.md", (
        "of another folder too"
    )


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


def test_a_run_beyond_the_limit_is_refused(small, finished, monkeypatch):
    monkeypatch.setattr("glassbook.notebook.pinning.LIMIT", 10)
    before = tree(small)
    with pytest.raises(NotebookError, match="run it again with fewer items or steps"):
        pin(finished, small)
    assert tree(small) == before
