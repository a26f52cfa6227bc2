"""New entries and notebooks: filled in as far as is known, readable at once, and never in the place of something else."""

import datetime
import tomllib
from importlib.metadata import version

import pytest
import yaml

from glassbook.evidence.citations import Author, Reference
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.new import MADE, NOTES, new_entry
from glassbook.notebook.notebook import open_notebook
from glassbook.notebook.scaffold import new_notebook

DAY = datetime.date(2026, 11, 23)
PAPER = Reference(
    key="one2020",
    title="One",
    authors=(Author("Someone", "Some"), Author("A Body of Several Words")),
    year=2020,
    arxiv="2001.00001",
)


def everything(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", MADE)
def test_a_new_entry_of_every_kind_is_an_entry_of_that_kind(small, kind):
    before = everything(small)
    path = new_entry(small, kind, "Something quite  new", DAY)
    entry = open_notebook(small).find("something-quite-new")
    assert (entry.path, entry.kind, entry.title, entry.date) == (path, kind, "Something quite new", DAY)
    assert everything(small) == {**before, path: path.read_bytes()}
    assert entry.private == (kind == "meeting")


@pytest.mark.parametrize("kind", ["term", "post"])
@pytest.mark.parametrize("title", ["Attention head", "attention  HEAD", "Hello"])
def test_nothing_is_written_over_and_no_name_is_given_twice(small, kind, title):
    before = everything(small)
    with pytest.raises(NotebookError, match="is there already and stays as it is"):
        new_entry(small, kind, title, DAY)
    assert everything(small) == before


def test_a_title_is_needed(small):
    with pytest.raises(NotebookError, match="a term needs a title"):
        new_entry(small, "term", "  ", DAY)


def test_notes_on_a_paper_have_its_fields_and_the_five_headings(small):
    path = new_entry(small, "paper", PAPER.title, DAY, PAPER)
    entry = open_notebook(small).find("One")
    assert list(entry.fields) == [
        "title",
        "kind",
        "cite",
        "authors",
        "year",
        "arxiv",
        "url",
        "topics",
        "status",
        "date",
    ]
    assert entry.fields["authors"] == ["Some Someone", "A Body of Several Words"]
    assert (entry.fields["arxiv"], entry.fields["status"]) == ("2001.00001", "to read")
    assert entry.body.split("\n\n")[:5] == [f"## {name}" for name in NOTES]
    assert "'2001.00001'" in path.read_text(), "in quotes, so that no other program reads a number"


@pytest.mark.parametrize(
    "kind, title, field, value",
    [
        ("log", "2025-Q3", "period", "2025-Q3"),
        ("log", "2024", "period", "2024"),
        ("log", "What I did", "period", "2026-Q4"),
        ("achievement", "Achievements of 2025-Q1", "quarter", "2025-Q1"),
        ("achievement", "Achievements", "quarter", "2026-Q4"),
    ],
)
def test_a_period_is_the_title_s_or_else_the_day_s(small, kind, title, field, value):
    new_entry(small, kind, title, DAY)
    assert open_notebook(small).find(title).fields[field] == value


def test_a_fresh_notebook_opens_and_its_links_lead_somewhere(tmp_path):
    root = new_notebook(tmp_path / "my-first_notes", DAY)
    notebook = open_notebook(root)
    assert notebook.settings.title == "My first notes"
    assert {entry.kind for entry in notebook.entries} == {"page", "term", "log"}
    for entry in notebook.entries:
        links = [part.split("]]")[0].split("|")[0] for part in entry.body.split("[[")[1:]]
        assert all(notebook.find(link) for link in links if link != "…"), links
    assert {"README.md", ".gitignore"} <= {path.name for path in root.iterdir()}


@pytest.mark.parametrize("name", ['quo"ted', "back\\slash", "ümläut", "{brace}", "a%sb"])
def test_a_folder_s_name_is_no_danger_to_its_settings(tmp_path, name):
    root = new_notebook(tmp_path / name, DAY)
    assert tomllib.loads((root / "glassbook.toml").read_text(encoding="utf-8"))["notebook"]["title"]
    assert open_notebook(root).entries


def test_a_folder_in_use_is_left_alone(small):
    before = everything(small)
    with pytest.raises(NotebookError, match="is not empty"):
        new_notebook(small, DAY)
    assert everything(small) == before
    (small.parent / "empty").mkdir()
    assert open_notebook(new_notebook(small.parent / "empty", DAY)).entries, "control: an empty folder is taken"


def test_the_workflow_is_pinned_and_asks_for_no_more_than_it_needs(tmp_path):
    root = new_notebook(tmp_path / "notes", DAY)
    flow = yaml.safe_load((root / ".github/workflows/publish.yml").read_text())
    jobs, steps = flow["jobs"], [step for job in flow["jobs"].values() for step in job["steps"]]
    used = [step["uses"].split("@") for step in steps if "uses" in step]
    assert len(used) == 4 and all(len(commit) == 40 and int(commit, 16) for _, commit in used)
    assert flow["permissions"] == {}
    assert jobs["build"]["permissions"] == {"contents": "read"}, "what runs the notebook's tools may publish nothing"
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]
    commands = " ".join(step["run"] for step in steps if "run" in step)
    assert f"glassbook[site]=={version('glassbook')}" in commands and "glassbook build --strict --out site" in commands
