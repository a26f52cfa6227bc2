"""An import is written whole or not at all; what a person has edited since is theirs."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.notebook.importing import import_pages, writing
from notebook.importing.bringing import Brought, again, bring, everything, fresh, write

PAGE = "# Notes\n\nIntro.\n\n## Terms\n\n- One: It is the first thing.\n- Two: It is the second thing.\n\n![p](p.png)\n"
FILES: dict[str, str | bytes] = {"page.md": PAGE, "p.png": b"\x89PNG p"}
ENTRIES = {"assets/p.png", "pages/page.md", "terms/one.md", "terms/two.md"}

KILLED = """
import os, signal, sys
from pathlib import Path
from glassbook.notebook.importing import import_pages, writing
left = int(sys.argv[3])
real = os.{call}
def then_die(*given, **options):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*given, **options)
writing.os = type(sys)("os"); writing.os.__dict__.update(os.__dict__); writing.os.{call} = then_die
import_pages([Path(sys.argv[1])], Path(sys.argv[2]))
"""


@pytest.fixture
def brought(tmp_path: Path) -> Brought:
    return bring(tmp_path, FILES)


@pytest.mark.parametrize(("call", "after"), [("fsync", 2), ("replace", 0), ("replace", 2), ("replace", 99)])
def test_killed_anywhere_every_file_is_whole_and_the_next_import_ends_as_one_that_was_never_killed(
    tmp_path, brought, call, after
):
    expected = _contents(brought.root)
    root = fresh(tmp_path, "killed")
    page = tmp_path / "source" / "page.md"
    command = [sys.executable, "-c", KILLED.replace("{call}", call), str(page), str(root), str(after)]
    done = subprocess.run(command, capture_output=True, check=False)
    # The control: a kill that comes too late is none.
    assert done.returncode == (0 if after == 99 else -signal.SIGKILL), done.stderr
    for name, content in _contents(root).items():
        assert content == expected[name]
    import_pages([page], root)
    assert everything(root).keys() == everything(brought.root).keys()
    assert _contents(root) == expected


def test_a_full_disk_leaves_the_notebook_as_it_was(tmp_path, monkeypatch):
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(GlassbookError, match="the disk is full"):
        bring(tmp_path, FILES)
    monkeypatch.undo()
    root = tmp_path / "notebook"
    assert sorted(everything(root)) == ["glassbook.toml"]
    assert import_pages([tmp_path / "source" / "page.md"], root).states == {"written": 4}


def test_an_edited_entry_is_left_alone_and_told_of(tmp_path, brought):
    edited = brought.root / "entries" / "terms" / "one.md"
    edited.write_text(edited.read_text() + "\nMy own words.\n")
    before = edited.read_bytes()
    (tmp_path / "source" / "page.md").write_text(PAGE.replace("first", "very first").replace("second", "very second"))
    report = again(brought, tmp_path / "source" / "page.md")
    assert report.edited() == ("entries/terms/one.md",)
    assert edited.read_bytes() == before
    assert "entries/terms/one.md" in (brought.root / ".glassbook" / "imports" / f"{report.name}.md").read_text()
    # The control: what nobody edited follows its source.
    assert report.states["updated"] == 1
    assert "very second" in brought.entry("two").body
    # And it stays so at every later import.
    assert again(brought, tmp_path / "source" / "page.md").edited() == ("entries/terms/one.md",)


def test_an_edited_picture_is_left_alone_too(tmp_path, brought):
    picture = brought.root / "entries" / "assets" / "p.png"
    picture.write_bytes(b"mine")
    again(brought, tmp_path / "source" / "page.md")
    assert picture.read_bytes() == b"mine"


def test_an_entry_that_was_removed_comes_back_and_one_that_the_source_lost_stays(tmp_path, brought):
    (brought.root / "entries" / "terms" / "one.md").unlink()
    assert again(brought, tmp_path / "source" / "page.md").states == {"unchanged": 3, "written": 1}
    (tmp_path / "source" / "page.md").write_text("# Notes\n\nIntro.\n")
    again(brought, tmp_path / "source" / "page.md")
    assert {entry.slug for entry in brought.notebook.entries} == {"page", "one", "two"}


def test_an_entry_keeps_its_name_when_its_neighbours_go(tmp_path):
    brought = bring(tmp_path, "## Terms\n\n- A: It is one thing.\n- A: It is another thing.\n")
    assert brought.kinds()["term"] == ["a-2", "a"]
    (tmp_path / "source" / "page.md").write_text(
        "## Terms\n\n- B: It is new here.\n- A: It is one thing.\n- A: It is another thing.\n"
    )
    report = again(brought, tmp_path / "source" / "page.md")
    assert "entries/terms/a-2.md" in {result.path for result in report.results}
    assert brought.entry("a-2").body.endswith("another thing.\n")


def test_the_journal_names_sources_entries_and_files_with_their_checksums(brought):
    journal = json.loads((brought.root / ".glassbook" / "imports" / f"{brought.report.name}.json").read_text())
    assert set(journal["sources"]) == {"../source/page.md"}
    assert {entry["path"] for entry in journal["entries"].values()} == {
        f"entries/{name}" for name in ENTRIES if "assets" not in name
    }
    assert set(journal["assets"]) == {"p.png"}


def test_without_its_journal_an_import_knows_its_entries_again_and_leaves_what_differs_alone(tmp_path, brought):
    expected = _contents(brought.root)
    shutil.rmtree(brought.root / ".glassbook")
    assert again(brought, tmp_path / "source" / "page.md").states == {"unchanged": 4}
    shutil.rmtree(brought.root / ".glassbook")
    (brought.root / "entries" / "terms" / "one.md").write_bytes(expected["terms/one.md"] + b"\nMine.\n")
    assert again(brought, tmp_path / "source" / "page.md").edited() == ("entries/terms/one.md",)
    assert _contents(brought.root).keys() == expected.keys()


def test_another_page_of_the_same_name_is_another_page(tmp_path, brought):
    before = _contents(brought.root)
    other = write(tmp_path / "elsewhere", {"page.md": PAGE.replace("Intro", "Another intro"), "p.png": FILES["p.png"]})
    report = again(brought, other / "page.md")
    assert report.states == {"unchanged": 1, "written": 3}
    assert {name: _contents(brought.root)[name] for name in before} == before
    assert "Another intro" in brought.entry("page-2").body


def test_a_damaged_journal_is_named_and_nothing_is_written(tmp_path, brought):
    journal = brought.root / ".glassbook" / "imports" / f"{brought.report.name}.json"
    journal.write_text("{")
    before = everything(brought.root)
    with pytest.raises(GlassbookError, match="the record of the last import cannot be read"):
        again(brought, tmp_path / "source" / "page.md")
    assert everything(brought.root) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is locked to the superuser")
def test_a_notebook_that_cannot_be_written_is_named(tmp_path):
    root = fresh(tmp_path)
    source = write(tmp_path / "source", FILES)
    root.chmod(0o500)
    with pytest.raises(GlassbookError, match="cannot be written"):
        import_pages([source / "page.md"], root)
    root.chmod(0o700)


def _contents(root: Path) -> dict[str, bytes]:
    """Return what lies below `entries`."""
    folder = root / "entries"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
