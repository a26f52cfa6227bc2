"""Every entry of our own notebook has its fields, and what it links, cites and tells a reader to type is there."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from glassbook.cli.app import build
from glassbook.cli.stale_claims import claims_of
from glassbook.notebook.entries import Entry, slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.kept import Known
from glassbook.notebook.live import Measurements
from glassbook.notebook.markdown import render
from glassbook.notebook.notebook import Notebook, entry_paths, open_notebook
from glassbook.notebook.resolving import EntryResolver
from glassbook.studies.numbers import Kept, says
from notebook.conftest import write_files

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ROOT / "entries"
REQUIRED = {
    "paper": {"authors", "year", "topics", "status"},
    "term": {"aliases", "level", "definition", "tags", "summary"},
    "log": {"period", "summary"},
    "achievement": {"quarter", "summary"},
    "meeting": {"with", "private"},
    "post": {"date"},
    "project": {"role", "period"},
    "study": {"study", "size", "paper"},
    "page": set[str](),
}
"""What our own entries of a kind have, beyond what the notebook asks of everybody's."""


def pages(root: Path = ROOT) -> list[Path]:
    """Return the files of all entries."""
    return entry_paths(root)


def fences(text: str) -> list[tuple[str, str]]:
    """Return the language and the inside of every fenced block."""
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def wrong_fields(entry: Entry) -> Iterator[str]:
    """Yield what the front matter of one of our entries lacks, and a name that is no slug."""
    yield from sorted(({"title", "kind"} | REQUIRED[entry.kind]) - entry.fields.keys())
    if entry.path.stem != slug_of(entry.path.stem):
        yield f"slug {entry.path.stem}"


def known(root: Path) -> Known:
    """Return what texts are told of studies; whether anything is stale is not asked here."""
    return Known(Kept(root), claims_of, says)


def lost(notebook: Notebook, entry: Entry, known: Known) -> list[str]:
    """Return the faults of an entry's text: links, citations, numbers and pictures that lead nowhere, broken formulas."""
    resolver = EntryResolver(notebook, Measurements(notebook.root, known), entry)
    try:
        found = render(entry.body, resolver, path=str(entry.path), first_line=entry.body_line)
    except NotebookError as fault:
        return [one.sentence for one in fault.faults]
    return [one.address for one in found.unresolved]


def broken_python(path: Path) -> list[str]:
    """Return what Python says against the blocks of an entry that are said to be Python."""
    said = []
    for language, code in fences(path.read_text()):
        try:
            compile(code if language == "python" else "", str(path), "exec")
        except SyntaxError as fault:
            said.append(str(fault))
    return said


@cache
def command_line() -> Any:
    return typer.main.get_command(build())


def commands(text: str) -> list[str]:
    """Return every `glassbook ...` that a page shows: lines behind a prompt, and code within sentences."""
    typed = [line[2:] for _, code in fences(text) for line in code.splitlines() if line.startswith("$ ")]
    inline = re.findall(r"`(glassbook [^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [line for line in [*typed, *inline] if line.startswith("glassbook ")]


def unknown_words(command: str) -> list[str]:
    """Return the verbs and options of a command that the command line does not have."""
    here, words = command_line(), shlex.split(command, comments=True)[1:]
    while words and hasattr(here, "commands"):
        if words[0] not in here.commands:
            return [words[0]]
        here = here.commands[words.pop(0)]
    options = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("--") and word.split("=")[0] not in {*options, "--help"}]


@pytest.fixture(scope="module")
def ours() -> Notebook:
    """Return our own notebook: opening it refuses unknown fields, doubled names, and keys that no bibliography has."""
    return open_notebook(ROOT)


@pytest.fixture(scope="module")
def told() -> Known:
    return known(ROOT)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_an_entry_has_the_fields_of_its_kind_and_leads_nowhere_in_vain(path, ours, told):
    entry = next(entry for entry in ours.entries if entry.path == path)
    assert list(wrong_fields(entry)) == []
    assert lost(ours, entry, told) == []
    assert broken_python(path) == []
    assert {command: unknown for command in commands(path.read_text()) if (unknown := unknown_words(command))} == {}


def test_a_notebook_of_some_size_is_read(ours):
    assert len(ours.entries) >= 20 and len(ours.references) >= 20


def test_control_a_bad_entry_is_found_out(tmp_path):
    good_text = (
        "---\ntitle: Good\nkind: term\naliases: [fine]\nlevel: 1\ndefinition: D.\ntags: []\nsummary: S.\n---\n"
        "[[good]], [[Fine|shown]] `[[not a link]]` [@known2020, p. 3]\n\n"
        "```python\nx = 1\n```\n\n```console\n$ glassbook export m --two-files --out f\n```\n"
    )
    bad_text = (
        "---\ntitle: Bad\nkind: term\nlevel: 1\n---\n[[nowhere]] [@known2020; @nobody1900] [x](nothing.md)\n\n"
        "```python\nx = = 1\n```\n\n```console\n$ glassbook export m --three-files\n$ glassbook studdy list\n```\n\n"
        "`glassbook study lisst`\n"
    )
    files = {
        "glassbook.toml": "[notebook]\n",
        "entries/terms/good.md": good_text,
        "entries/terms/Bad_slug.md": bad_text,
    }
    files["entries/refs.bib"] = "@misc{known2020, author = {A, B}, title = {T}, year = {2020}}\n"
    notebook = open_notebook(write_files(tmp_path, files))
    good, bad = notebook.find("good"), notebook.find("bad")
    told = known(tmp_path)
    assert not [*wrong_fields(good), *lost(notebook, good, told), *broken_python(good.path)]
    assert [unknown_words(line) for line in commands(good_text)] == [[]]
    assert list(wrong_fields(bad)) == ["aliases", "definition", "summary", "tags", "slug Bad_slug"]
    assert [re.findall("'([^']+)'", sentence)[0] for sentence in lost(notebook, bad, told)] == ["nowhere", "nobody1900"]
    assert len(broken_python(bad.path)) == 1
    assert [unknown_words(line) for line in commands(bad_text)] == [["--three-files"], ["studdy"], ["lisst"]]
    bad.path.write_text(bad_text.replace("[[nowhere]] [@known2020; @nobody1900] ", ""))
    notebook = open_notebook(tmp_path)
    assert lost(notebook, notebook.find("bad"), told) == ["nothing.md"]


def examples(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield every Python block with the output that the page shows right after it, None where it shows none."""
    shown = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
    yield from ((match[1], match[2]) for match in shown.finditer(text))


def same_output(said: str, shown: str) -> bool:
    """Return whether two outputs have the same words, and numbers that differ by no more than another processor may."""
    number = re.compile(r"-?\d+\.?\d*")
    ours, theirs = ([float(found) for found in number.findall(text)] for text in (said, shown))
    alike = len(ours) == len(theirs) and np.allclose(ours, theirs, rtol=0.05, atol=0.011)
    return alike and number.sub("", said).split() == number.sub("", shown).split()


def false_examples(text: str) -> list[str]:
    """Run the Python of a page from top to bottom; return what fails in it, or prints something else than is shown."""
    world: dict[str, Any] = {}
    for code, shown in examples(text):
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                exec(compile(code, "entry", "exec"), world)
        except Exception as fault:
            return [f"{type(fault).__name__} {fault} in: {code}"]
        if shown is not None and not same_output(said.getvalue(), shown):
            return [f"prints {said.getvalue()!r}, the page shows {shown!r}"]
    return []


def with_examples() -> list[Any]:
    """Return the entries that show Python; those that train or open a model are slow."""
    found = []
    for path in pages():
        code = "".join(code for code, _ in examples(path.read_text()))
        is_slow = "import torch" in code or "open_model(" in code
        if code:
            found.append(pytest.param(path, marks=[pytest.mark.slow] if is_slow else [], id=path.stem))
    return found


@pytest.mark.parametrize("path", with_examples())
def test_the_python_of_an_entry_runs_and_prints_what_the_entry_shows(path, request):
    if "open_model(" in path.read_text():
        request.getfixturevalue("default_model")
    assert false_examples(path.read_text()) == []


def identities(text: str) -> list[str]:
    """Return the numbered identities of the page on linear algebra: each heading sentence with the block beneath it."""
    return re.findall(r"^\*\*\d+\. .*?^```$", text.split("## See it")[0], re.MULTILINE | re.DOTALL)


def test_every_identity_of_linear_algebra_is_a_sentence_an_equation_and_a_block_that_asserts_it():
    text = (ENTRIES / "terms" / "pca-and-linear-algebra.md").read_text()
    before, found = text[: text.index("**1. ")], identities(text)
    assert len(found) == 12
    assert all("assert" in "".join(code for code, _ in examples(one)) for one in found)
    without_equation = [one for one in found if "$" not in one.split("```")[0]]
    assert [one[:6] for one in without_equation] == ["**10. "]  # which is a trap and no equation
    assert false_examples(before + "\n".join(found)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("P = np.outer(u, u) / (u @ u)", "P = np.outer(u, u)"),
        ("kernel = np.linalg.svd(A)[2][rank:]", "kernel = np.linalg.svd(A)[2][rank - 1 :]"),
        ("close(stretches[::-1], s**2)", "close(stretches[::-1], s)"),
        ("(s[2:] ** 2).sum())\nfor", "(s[1:] ** 2).sum())\nfor"),
        ("centered = X - X.mean(0)", "centered = X"),
        ("close(B.T @ (b - B @ fit), 0)", "close(B.T @ (b - B @ fit), b[:4])"),
    ],
)
def test_control_a_wrong_identity_fails(right, wrong):
    text = (ENTRIES / "terms" / "pca-and-linear-algebra.md").read_text().split("## See it")[0]
    assert text.count(right) == 1
    assert "AssertionError" in false_examples(text.replace(right, wrong))[0]


def test_control_an_output_that_is_not_what_is_printed_is_found_out():
    page = "```python\nprint('kept', 0.5, 26)\n```\n\n```text\nkept 0.5 26\n```\n"
    assert false_examples(page) == []
    for wrong in ("kept 0.7 26", "kept 0.5 29", "lost 0.5 26", "kept 0.5", "kept -0.5 26"):
        assert false_examples(page.replace("kept 0.5 26", wrong)) != []
    assert "NameError" in false_examples(page.replace("'kept'", "kept"))[0]
