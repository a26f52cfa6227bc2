"""Every kind of entry keeps its contract: its fields are read or refused, all its names find it, what is private stays so."""

import datetime

import pytest

from glassbook.notebook.entries import KINDS, Entry, read_entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.fields import COMMON
from glassbook.notebook.front_matter import join_front_matter, split_front_matter
from glassbook.notebook.notebook import open_notebook

# What each kind has by the form of an entry, written down apart from the code.
OWN = {
    "paper": {"authors", "year", "arxiv", "doi", "url", "topics", "status", "cite"},
    "term": {"level", "definition"},
    "log": {"period"},
    "achievement": {"quarter"},
    "meeting": {"with"},
    "post": set(),
    "project": {"role", "period"},
    "study": {"study", "size", "paper", "verdicts", "written_by"},
    "page": set(),
}
FOLDERS = ["papers", "terms", "log", "achievements", "meetings", "posts", "projects", "studies", "pages"]
CORRECTION = {"said": "a", "right": "b", "source": "https://example.org/c"}
FITTING = {
    "text": "words",
    "whole number": 3,
    "yes or no": True,
    "day": datetime.date(2026, 11, 23),
    "quarter": "2026-Q4",
    "web address": "https://example.org/x",
    "list of text": ["one", "two"],
    "list of corrections": [CORRECTION],
}
WRONG = {
    "text": ["a", "list"],
    "whole number": "three",
    "yes or no": "perhaps",
    "day": "tomorrow",
    "quarter": "autumn",
    "web address": "javascript:alert(1)",
    "list of text": "one, two",
    "list of corrections": [{"said": "a"}],
}

every_kind = pytest.mark.parametrize("kind", list(KINDS))
every_field = pytest.mark.parametrize(
    "kind, name",
    [(kind, name) for kind in KINDS for name in KINDS.find(kind).all_fields if name not in ("kind", "title")],
)


def write(root, kind, fields, body="Text.\n", slug="an-entry"):
    path = root / "entries" / KINDS.find(kind).folder / f"{slug}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(join_front_matter({"title": "An entry", "kind": kind, **fields}, body), encoding="utf-8")
    return path


def fitting(kind, name):
    field = KINDS.find(kind).all_fields[name]
    return field.among[0] if field.among else FITTING[field.type]


def said_of(path):
    with pytest.raises(NotebookError) as told:
        read_entry(path)
    return [(fault.line, fault.sentence) for fault in told.value.faults]


def test_the_kinds_and_their_fields_are_those_of_the_form():
    assert {kind: {field.name for field in KINDS.find(kind).fields} for kind in KINDS} == OWN
    assert [KINDS.find(kind).folder for kind in KINDS] == FOLDERS


@every_kind
def test_an_entry_with_every_field_is_read_and_written_back_as_it_was(kind, tmp_path):
    fields = {name: fitting(kind, name) for name in KINDS.find(kind).all_fields if name not in ("kind", "title")}
    path = write(tmp_path, kind, fields)
    entry = read_entry(path)
    assert {**fields, "title": "An entry", "kind": kind} == entry.fields
    assert (entry.kind, entry.slug, entry.address) == (kind, "an-entry", f"{KINDS.find(kind).folder}/an-entry.html")
    assert (entry.private, entry.draft, entry.aliases, entry.tags) == (True, True, ("one", "two"), ("one", "two"))
    assert entry.date == FITTING["day"] and entry.corrections[0].right == "b"
    assert join_front_matter(entry.fields, entry.body) == path.read_text(encoding="utf-8")


@every_field
def test_a_field_that_does_not_fit_is_told_with_its_line_and_what_to_write(kind, name, tmp_path):
    wrong = WRONG[KINDS.find(kind).all_fields[name].type]
    ((line, sentence),) = said_of(write(tmp_path, kind, {name: wrong}))
    assert line == 4 and f"'{name}'" in sentence and "; " in sentence
    assert read_entry(write(tmp_path, kind, {name: fitting(kind, name)})), "control: one that fits"


@every_field
def test_a_slip_of_a_field_s_name_is_told_with_the_right_one(kind, name, tmp_path):
    slips = {name.upper(), f"{name}x"}
    for slip in slips:
        if len(name) > 4 or slip == name.upper():
            ((_, sentence),) = said_of(write(tmp_path, kind, {slip: fitting(kind, name)}))
            assert f"has no field '{slip}'; did you mean '" in sentence
    assert "did you mean 'aliases'?" in said_of(write(tmp_path, kind, {"alias": ["x"]}))[0][1]


@every_kind
def test_fields_that_nobody_knows_are_kept(kind, tmp_path):
    unknown = {"layout": "wide", "publishDate": "2026-01-02", "weather": {"sky": ["blue", 3]}, "description": "x"}
    assert unknown.items() <= read_entry(write(tmp_path, kind, unknown)).fields.items()


@every_kind
def test_a_file_without_front_matter_is_an_entry_of_its_folder_s_kind(kind, tmp_path):
    path = tmp_path / KINDS.find(kind).folder / "plain-one.md"
    path.parent.mkdir()
    path.write_text("Before.\n\n# The *title* #\n\nText.\n\n# Another\n", encoding="utf-8")
    entry = read_entry(path)
    assert (entry.kind, entry.slug, entry.fields, entry.body_line) == (kind, "plain-one", {}, 1)
    assert entry.title == "The title"


@every_kind
def test_an_entry_is_found_by_slug_title_and_alias_and_a_private_one_is_not_public(kind, tmp_path):
    (tmp_path / "glassbook.toml").write_text("[notebook]\n")
    write(tmp_path, kind, {"aliases": ["Other name"]})
    write(tmp_path, kind, {"title": "Hidden", "private": True}, slug="hidden")
    notebook = open_notebook(tmp_path)
    found = [notebook.find(name) for name in ("an-entry", "AN ENTRY", "other names")]
    assert all(isinstance(entry, Entry) and entry.slug == "an-entry" for entry in found)
    assert [entry.slug for entry in notebook.public] == ["an-entry"]
    assert notebook.nearest("hiden") is None and notebook.nearest("an entri") is not None


def test_the_common_fields_are_those_of_every_kind():
    common = {field.name for field in COMMON}
    assert common == {
        *("title", "kind", "date", "publish_date", "tags", "aliases", "summary", "meta_description", "meta_image"),
        *("private", "draft", "corrections"),
    }
    assert split_front_matter("---\ntitle: x\n---\n")[0] == {"title": "x"}
