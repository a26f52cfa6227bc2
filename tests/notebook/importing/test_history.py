"""The revisions of a source date every entry: when it first stood there, and when it was changed."""

import os
import subprocess
from datetime import date
from pathlib import Path

import pytest

from glassbook.notebook.importing import ImportOptions, history, import_pages
from notebook.importing.bringing import Brought, again, bring, fresh

FIRST = "# Notes\n\n## Terms\n\n- One: It is the first of all things that one has to know.\n"
SECOND = FIRST + "- Two: It is the second thing, which says more than the first one did.\n"
# The first is reworded, the second gets another name and keeps most of its words.
THIRD = (
    "# Notes\n\n## Terms\n\n- One: It is the very first of all things that one has to know.\n"
    "- Number two: It is the second thing, which says more than the first one did.\n"
)
FOURTH = THIRD + "\n## People\n\n### Meeting with an engineer\n\nWe talked.\n"


def git(folder: Path, *arguments: str, day: str = "2024-01-01") -> None:
    stamp = f"{day}T12:00:00+00:00"
    names = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@b"))
    }
    settings = {
        **os.environ,
        **names,
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_DATE": stamp,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=settings)


def commit(folder: Path, text: str, day: str, name: str = "page.md") -> None:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a change", day=day)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Brought, Path]:
    """Return a notebook with a page of another repository imported, and that repository."""
    folder = tmp_path_factory.mktemp("history")
    source = folder / "source"
    source.mkdir()
    git(source, "init", "-q")
    commit(source, FIRST, "2023-02-01", "old.md")
    commit(source, SECOND, "2023-03-01", "old.md")
    git(source, "mv", "old.md", "page.md")
    git(source, "commit", "-qm", "another name", day="2023-04-01")
    commit(source, THIRD, "2023-05-01")
    commit(source, FOURTH, "2023-06-01")
    root = fresh(folder)
    return Brought(root, import_pages([source / "page.md"], root, ImportOptions(history=True))), source


def test_an_entry_is_dated_by_its_first_appearance_and_its_later_changes(kept):
    one = kept[0].entry("one")
    assert one.date == date(2023, 2, 1)
    assert one.fields["changed"] == [date(2023, 5, 1)]


def test_an_entry_is_followed_through_another_name_of_its_own_and_of_its_file(kept):
    two = kept[0].entry("number-two")
    assert two.date == date(2023, 3, 1)
    assert two.fields["changed"] == [date(2023, 5, 1)]


def test_an_entry_that_came_last_is_dated_then_and_was_never_changed(kept):
    meeting = kept[0].entry("meeting-with-an-engineer")
    assert meeting.date == date(2023, 6, 1)
    assert "changed" not in meeting.fields


def test_the_page_itself_has_its_first_day_and_every_change(kept):
    page = kept[0].entry("page")
    assert page.date == date(2023, 2, 1)
    assert page.fields["changed"] == [date(2023, 3, 1), date(2023, 5, 1), date(2023, 6, 1)]


def test_dates_stay_when_the_next_import_does_not_ask_for_them(kept):
    brought, source = kept
    assert set(again(brought, source / "page.md").states) == {"unchanged"}
    assert set(again(brought, source / "page.md", history=True).states) == {"unchanged"}


def test_what_is_not_committed_has_no_date(kept, tmp_path):
    source = kept[1]
    (source / "page.md").write_text(
        FOURTH.replace("## People", "- Three: It was written down today and by nobody else.\n\n## People")
    )
    root = fresh(tmp_path)
    import_pages([source / "page.md"], root, ImportOptions(history=True))
    assert "date" not in Brought(root, None).entry("three").fields
    assert Brought(root, None).entry("one").date == date(2023, 2, 1)
    (source / "page.md").write_text(FOURTH)


def test_without_a_history_the_import_says_so_and_goes_on(tmp_path):
    brought = bring(tmp_path, FOURTH, history=True)
    assert any("has no history that git can tell" in remark for remark in brought.report.remarks)
    assert brought.report.counts == {"meeting": 1, "page": 1, "term": 2}


def test_a_file_that_git_does_not_know_is_named(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    commit(source, FIRST, "2023-02-01", "other.md")
    brought = bring(tmp_path, FIRST, history=True)
    assert any("git knows no revision of 'page.md'" in remark for remark in brought.report.remarks)


def test_only_so_many_revisions_are_read_and_the_report_says_so(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MOST_REVISIONS", 2)
    root = fresh(tmp_path)
    report = import_pages([kept[1] / "page.md"], root, ImportOptions(history=True))
    assert any("only the last 2 revisions" in remark for remark in report.remarks)
    assert Brought(root, report).entry("one").date == date(2023, 5, 1)
