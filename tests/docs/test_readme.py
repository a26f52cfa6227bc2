"""Every snippet of the README works, every link leads somewhere, and every line of the changelog is short."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

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
_DECIMAL = re.compile(r"-?\d+\.\d+")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Typed:
    """A line that a reader is told to type, and the lines of its output that the document shows."""

    words: list[str]
    shown: list[str]


def typed(text: str) -> list[Typed]:
    """Return every line to type with what is shown beneath it; `# ` begins a remark, a backslash goes on with the line."""
    found: list[Typed] = []
    for block in blocks(text, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append(Typed(shlex.split(line.removeprefix("$ "), comments=True), []))
            elif found and line.strip() and not line.startswith("# "):
                found[-1].shown.append(line)
    return found


def sections(text: str) -> dict[str, str]:
    """Return the sections with something to type, by their headings; a reader may begin with any of them."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part for part in parts if blocks(part, "console")}


def commands(text: str) -> list[list[str]]:
    """Return the words of every line that a reader is told to type."""
    return [one.words for one in typed(text)]


def is_said(line: str, said: str) -> bool:
    """Return whether a line is part of what was said, however it is broken and spaced; decimals may differ by a tenth."""
    apart = _DECIMAL.split(" ".join(line.split()))
    pattern = re.compile(_DECIMAL.pattern.join(f"({re.escape(one)})" for one in apart).replace("()", ""))
    wanted = [float(one) for one in _DECIMAL.findall(line)]
    found = [
        [float(one) for one in _DECIMAL.findall(match.group())] for match in pattern.finditer(" ".join(said.split()))
    ]
    return any(values == pytest.approx(wanted, rel=0.1) for values in found)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of what is run in `folder`: its runs are kept there."""
    return {**os.environ, "XDG_DATA_HOME": str(folder), "GLASSBOOK_RUNS": str(folder / "runs")}


def run(command: list[str], folder: Path) -> str:
    """Run a command in `folder`; return what it complained about, nothing if it worked."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{shlex.join(command)} ended with {done.returncode}: {done.stderr[-500:]}"


# In a process of its own, since here every array is checked against its written shape, which takes as long again.
ONE_AFTER_ANOTHER = """
import contextlib, io, json, sys
from glassbook.cli import app
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = app.run(words)
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""


def run_glassbook(lines: Sequence[Typed], folder: Path) -> list[str]:
    """Run our commands in `folder` one after another; return what is wrong: one failed, or printed other than is shown."""
    asked = json.dumps([one.words[1:] for one in lines])
    command = [sys.executable, "-c", ONE_AFTER_ANOTHER, asked]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True)
    wrong = []
    for one, answer in zip(lines, done.stdout.splitlines(), strict=True):
        status, printed, said = json.loads(answer)
        if status:
            wrong.append(f"{shlex.join(one.words)} ended with {status}: {said[-500:]}")
        elif untrue := [line for line in one.shown if not is_said(line, printed)]:
            wrong.append(f"{shlex.join(one.words)} printed {printed} and not {untrue}")
    return wrong


def run_python(text: str, folder: Path) -> str:
    """Run the Python blocks of a document one after another, as one program."""
    program = folder / "readme.py"
    program.write_text("\n".join(blocks(text, "python")))
    return run([sys.executable, str(program)], folder)


def check_other(words: list[str]) -> str:
    """Return what is wrong with a command that is not ours: make's must be a target, pip must name the pinned version."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return "" if set(words[1:]) <= set(targets) else f"make has no target {words[1:]}"
    if words[-1].startswith("torch=="):
        return "" if words[-1] in (ROOT / "constraints.txt").read_text() else f"{words[-1]} is not what is pinned"
    return "" if words == ["python3", "-m", "venv", ".venv"] else f"nobody has checked {shlex.join(words)}"


def complaints(text: str, folder: Path) -> list[str]:
    """Return what is wrong with the lines that a document tells to type; ours are run, one after another."""
    found = typed(text)
    ours = [one for one in found if one.words[0] == "glassbook"]
    others = [wrong for one in found if one not in ours and (wrong := check_other(one.words))]
    return [*others, *(run_glassbook(ours, folder) if ours else [])]


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
@pytest.mark.parametrize("section", sections(README.read_text()))
def test_every_command_of_a_section_works_one_after_another_and_prints_what_is_shown(section, tmp_path, default_model):
    assert complaints(sections(README.read_text())[section], tmp_path) == []


def test_no_command_of_the_readme_is_left_out_of_the_sections():
    text = README.read_text()
    found = [words for section in sections(text).values() for words in commands(section)]
    assert found == commands(text) and sum(words[0] == "glassbook" for words in found) >= 15
    assert sum(len(one.shown) for one in typed(text)) >= 5


def test_the_readme_leads_from_nothing_to_a_steered_feature_in_ten_lines():
    section = sections(README.read_text())["From nothing to a steered feature"]
    verbs = [words[2] for words in commands(section) if words[:2] == ["glassbook", "features"]]
    assert verbs == ["harvest", "train", "evaluate", "cards", "label", "search", "search", "cards", "read", "steer"]


def test_the_readme_names_both_commands():
    assert commands(README.read_text())[:2] == [["make", "demo"], ["make", "test"]]


def test_control_a_broken_snippet_is_found_out(tmp_path):
    broken = tmp_path / "README.md"
    broken.write_text("```python\nimport glassbook as gb\n```\n\n```python\ngb.open_modell('smollm2-135m')\n```\n")
    assert "open_modell" in run_python(broken.read_text(), tmp_path)
    broken.write_text("```console\n$ glassbook generatte smollm2-135m\n$ make everything\n$ curl example.org\n```\n")
    assert len(complaints(broken.read_text(), tmp_path)) == 3
    broken.write_text("```console\n$ .venv/bin/python -m pip install torch==0.1\n```\n[there](nowhere.md)\n")
    assert complaints(broken.read_text(), tmp_path)
    assert broken_links(broken) == ["nowhere.md"]


def test_control_output_that_no_command_printed_is_found_out(tmp_path):
    told = "```console\n# All of it\n$ glassbook runs \\\n  list --help\nList the runs\n```\n"
    (one,) = typed(told)
    assert one == Typed(["glassbook", "runs", "list", "--help"], ["List the runs"])
    assert complaints(told.replace("List the runs", "Usage:   glassbook runs list"), tmp_path) == []
    (complaint,) = complaints(told.replace("List the runs", "no such line"), tmp_path)
    assert "and not ['no such line']" in complaint
    assert is_said("FVU  0.82 of\n 20", "L0 3\nFVU   0.84 of 20 rows") and is_said("by -3.04 nats", "it by -3.10 nats")
    assert not is_said("FVU 0.82", "FVU 0.99") and not is_said("by 3.04 nats", "by -3.04 nats")
    assert not is_said("20 of 20", "19 of 20")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_project_leads_somewhere(path):
    assert broken_links(path) == []


def test_every_line_of_the_changelog_has_at_most_25_words():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^- ", text, re.MULTILINE)
    assert long_lines(text) == []
    assert long_lines("- " + "word " * 26) != []
