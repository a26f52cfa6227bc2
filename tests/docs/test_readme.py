"""Every snippet of the README works, every link leads somewhere, and every line of the changelog is short."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from glassbook.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    ROOT / "TERMS.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs" / "migration.md",
    *(ROOT / "decisions").glob("*.md"),
]
MOST_WORDS = 25


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Return the words of every line that a reader is told to type."""
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.startswith("$ ")]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of what is run in `folder`: its runs are kept there."""
    return {**os.environ, "XDG_DATA_HOME": str(folder), "GLASSBOOK_RUNS": str(folder / "runs")}


def run(command: list[str], folder: Path) -> str:
    """Run a command in `folder`; return what it complained about, nothing if it worked."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{shlex.join(command)} ended with {done.returncode}: {done.stderr[-500:]}"


def run_glassbook(words: list[str], folder: Path) -> str:
    """Run one of our commands in `folder` and in this process, which has loaded what it needs; return its complaint."""
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment(folder)),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
    ):
        status = app.run(words)
    return "" if status == 0 else f"glassbook {shlex.join(words)} ended with {status}: {said.getvalue()[-500:]}"


def run_python(text: str, folder: Path) -> str:
    """Run the Python blocks of a document one after another, as one program."""
    program = folder / "readme.py"
    program.write_text("\n".join(blocks(text, "python")))
    return run([sys.executable, str(program)], folder)


def run_console(words: list[str], folder: Path) -> str:
    """Check one command: ours is run, make's must be a target, and pip must name the version that is pinned."""
    if words[0] == "glassbook":
        return run_glassbook(words[1:], folder)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return "" if set(words[1:]) <= set(targets) else f"make has no target {words[1:]}"
    if words[-1].startswith("torch=="):
        return "" if words[-1] in (ROOT / "constraints.txt").read_text() else f"{words[-1]} is not what is pinned"
    return "" if words == ["python3", "-m", "venv", ".venv"] else f"nobody has checked {shlex.join(words)}"


def broken_links(path: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    return [link for link in links if not (path.parent / link).exists()]


def long_lines(text: str) -> list[str]:
    """Return the entries of a changelog that have too many words."""
    return [line for line in text.splitlines() if line.startswith("- ") and len(line.split()) - 1 > MOST_WORDS]


@pytest.mark.model
def test_the_python_of_the_readme_runs(tmp_path, default_model):
    assert len(blocks(README.read_text(), "python")) >= 2
    assert run_python(README.read_text(), tmp_path) == ""


@pytest.mark.model
def test_every_command_of_the_readme_works_one_after_another(tmp_path, default_model):
    found = commands(README.read_text())
    assert sum(words[0] == "glassbook" for words in found) >= 5
    assert [complaint for words in found if (complaint := run_console(words, tmp_path))] == []


def test_the_readme_names_both_commands():
    assert commands(README.read_text())[:2] == [["make", "demo"], ["make", "test"]]


def test_control_a_broken_snippet_is_found_out(tmp_path):
    broken = tmp_path / "README.md"
    broken.write_text("```python\nimport glassbook as gb\n```\n\n```python\ngb.open_modell('smollm2-135m')\n```\n")
    assert "open_modell" in run_python(broken.read_text(), tmp_path)
    broken.write_text("```console\n$ glassbook generatte smollm2-135m\n$ make everything\n$ curl example.org\n```\n")
    assert len(commands(broken.read_text())) == 3
    assert all(run_console(words, tmp_path) for words in commands(broken.read_text()))
    broken.write_text("```console\n$ .venv/bin/python -m pip install torch==0.1\n```\n[there](nowhere.md)\n")
    assert run_console(commands(broken.read_text())[0], tmp_path)
    assert broken_links(broken) == ["nowhere.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_project_leads_somewhere(path):
    assert broken_links(path) == []


def test_every_line_of_the_changelog_has_at_most_25_words():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^- ", text, re.MULTILINE)
    assert long_lines(text) == []
    assert long_lines("- " + "word " * 26) != []
