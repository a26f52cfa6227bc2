"""The history of entries is what git says of them, and its absence is no fault."""

import os
import shutil
import subprocess

import pytest

from glassbook.notebook.history import Change, history

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="there is no git here; `apt-get install git` brings it"
)

AT = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}


@pytest.fixture
def git(tmp_path):
    """Return a function that runs git in a new repository, on a day that can be chosen."""

    def call(*arguments, day="2026-01-02"):
        dates = {name: value.replace("2026-01-02", day) for name, value in AT.items()}
        who = ["-c", "user.name=Someone", "-c", "user.email=someone@example.invalid", "-c", "commit.gpgsign=false"]
        env = {**os.environ, **dates, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", *who, "-C", str(tmp_path), *arguments], check=True, capture_output=True, env=env)

    call("init", "-q")
    return call


def write(folder, name, text):
    path = folder / "entries" / "terms" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_entry_s_changes_are_told_newest_first_and_others_are_not_its_own(tmp_path, git):
    path, other = write(tmp_path, "one.md", "first"), write(tmp_path, "other.md", "other")
    git("add", ".")
    git("commit", "-qm", "One and another")
    path.write_text("second")
    git("commit", "-qam", "One again", day="2026-03-04")
    found = history(tmp_path)
    assert found[path] == (Change("2026-03-04", "One again"), Change("2026-01-02", "One and another"))
    assert found[other] == (Change("2026-01-02", "One and another"),)


@pytest.mark.parametrize(
    "name", ["two words.md", "ü – “quoted”.md", "tab\there.md", "line\nbreak.md", "one\x01two.md", b"latin-\xe9.md"]
)
def test_odd_names_and_renames_are_followed(tmp_path, git, name):
    write(tmp_path, "old.md", "a text long enough to be known again " * 20)
    git("add", ".")
    git("commit", "-qm", "Old")
    name = os.fsdecode(name)
    git("mv", "entries/terms/old.md", f"entries/terms/{name}")
    git("commit", "-qm", "New", day="2026-02-03")
    found = history(tmp_path)
    assert found[tmp_path / "entries" / "terms" / name] == (Change("2026-02-03", "New"), Change("2026-01-02", "Old"))


def test_without_a_repository_without_a_commit_and_without_git_nothing_is_known(tmp_path, git, monkeypatch):
    path = write(tmp_path, "one.md", "text")
    assert history(tmp_path) == {}
    git("add", ".")
    git("commit", "-qm", "One")
    assert path in history(tmp_path), "control: with a commit it is known"
    assert history(tmp_path.parent / "nowhere") == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert history(tmp_path) == {}


def test_neither_a_surrounding_git_nor_the_person_s_configuration_changes_the_answer(tmp_path, git, monkeypatch):
    path = write(tmp_path, "one.md", "text")
    git("add", ".")
    git("commit", "-qm", "One")
    plain = history(tmp_path)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "log.showSignature")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    assert history(tmp_path) == plain
    assert plain[path] == (Change("2026-01-02", "One"),)


def test_a_repository_s_own_configuration_changes_nothing(tmp_path, git):
    path = write(tmp_path, "one.md", "text")
    git("add", ".")
    git("commit", "-qm", "One")
    plain = history(tmp_path)
    for name, value in {"log.showRoot": "false", "diff.relative": "true", "log.showSignature": "true"}.items():
        git("config", name, value)
    git("config", "diff.external", "touch ran")
    assert history(tmp_path) == plain == {path: (Change("2026-01-02", "One"),)}
    assert not (tmp_path / "ran").exists()


def test_the_oldest_commit_of_a_shallow_clone_brings_nothing(tmp_path, git):
    for day in (1, 2, 3):
        write(tmp_path, f"{day}.md", "text")
        git("add", ".")
        git("commit", "-qm", f"Day {day}", day=f"2026-01-0{day}")
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth=2", f"file://{tmp_path}", str(shallow))
    found = {path.name: changes for path, changes in history(shallow).items()}
    assert found == {"3.md": (Change("2026-01-03", "Day 3"),)}
    assert len(history(tmp_path)) == 3, "control: the whole clone knows all"


def test_a_notebook_in_a_folder_of_a_repository_or_in_a_submodule_is_found(tmp_path, git):
    path = write(tmp_path / "docs" / "notes", "one.md", "text")
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "not-ours.md").write_text("text")
    git("add", ".")
    git("commit", "-qm", "One")
    assert history(tmp_path / "docs" / "notes") == {path: (Change("2026-01-02", "One"),)}
    outer = tmp_path / "outer"
    outer.mkdir()
    git("-C", str(outer), "init", "-q")
    git(
        "-C",
        str(outer),
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(tmp_path / ".git"),
        "sub",
    )
    inner = outer / "sub" / "docs" / "notes"
    assert history(inner) == {inner / "entries" / "terms" / "one.md": (Change("2026-01-02", "One"),)}


def test_a_subject_that_is_no_text_can_still_be_written(tmp_path, git):
    path = write(tmp_path, "one.md", "text")
    git("add", ".")
    git("commit", "-q", "-m", os.fsdecode(b"caf\xe9"))
    (change,) = history(tmp_path)[path]
    assert change.subject.encode("utf-8")
