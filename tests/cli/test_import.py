"""The verb: what it prints for people and programs, and how it ends."""

import json
from pathlib import Path

import pytest

from glassbook.cli.app import run

PAGE = "# Notes\n\n## Terms\n\n- One: It is the first thing, see [it](gone.md).\n- Two\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "glassbook.toml").write_text('[notebook]\ntitle = "N"\n')
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path


def test_people_read_what_went_where_what_is_doubtful_and_what_leads_nowhere(place, capsys):
    assert run(["import", str(place / "page.md"), "--notebook", str(place)]) == 0
    told = capsys.readouterr().out
    assert "entries/terms/one.md" in told
    assert "page.md:6: of 'Two' there is only the name; it stays on the page" in told
    assert "page.md:5: gone.md (link)" in told
    assert "2 entries (1 page, 1 term); files: 2 written" in told


def test_programs_get_one_document(place, capsys):
    assert run(["import", str(place / "page.md"), "--notebook", str(place), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"page": 1, "term": 1}
    assert document["unresolved"][0]["line"] == 5
    assert document["states"] == {"written": 2}


def test_what_cannot_be_imported_ends_in_one_sentence(place, capsys):
    assert run(["import", str(place / "gone.md"), "--notebook", str(place)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not (place / "entries").exists()
