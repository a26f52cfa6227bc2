"""Every entry of our own notebook has its fields, and what it links, cites and tells a reader to type is there."""

import contextlib
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from glassbook.cli.app import build
from glassbook.evidence.citations import read_bibliography

ENTRIES = Path(__file__).resolve().parents[2] / "entries"
KINDS = {
    "papers": ("paper", {"authors", "year", "topics", "status"}),
    "terms": ("term", {"aliases", "level", "definition", "tags", "summary"}),
    "log": ("log", {"period", "summary"}),
    "achievements": ("achievement", {"quarter", "summary"}),
    "meetings": ("meeting", {"with", "private"}),
    "posts": ("post", {"date"}),
    "projects": ("project", {"role", "period"}),
    "studies": ("study", {"study", "size", "paper"}),
    "pages": ("page", set[str]()),
}


def pages(root: Path = ENTRIES) -> list[Path]:
    """Return the files of all entries: Markdown, one folder deep."""
    return sorted(root.glob("*/*.md"))


def parted(path: Path) -> tuple[dict[str, Any], str]:
    """Return the front matter of an entry, empty where there is none, and its text."""
    found = re.match(r"---\n(.*?)\n---\n(.*)", path.read_text(), re.DOTALL)
    return (yaml.safe_load(found[1]), found[2]) if found else ({}, path.read_text())


def fences(text: str) -> list[tuple[str, str]]:
    """Return the language and the inside of every fenced block."""
    return re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """Return the text without its code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def wrong_fields(path: Path) -> Iterator[str]:
    """Yield what the front matter of an entry lacks, or says against its folder."""
    kind, required = KINDS[path.parent.name]
    front = parted(path)[0]
    yield from sorted(({"title", "kind"} | required) - front.keys())
    if front.get("kind") != kind:
        yield f"kind {front.get('kind')} in {path.parent.name}/"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", path.stem):
        yield f"slug {path.stem}"
    for item in front.get("corrections", []):
        yield from sorted({"said", "right", "source"} - item.keys())


def names(root: Path = ENTRIES) -> Counter[str]:
    """Return how many entries answer to each name: a slug, a title or an alias, in lower case."""
    found: Counter[str] = Counter()
    for path in pages(root):
        front = parted(path)[0]
        found.update({name.casefold() for name in (path.stem, front.get("title", ""), *front.get("aliases", ()))})
    return found


def lost_links(path: Path, known: Counter[str]) -> list[str]:
    """Return the wiki links of an entry that lead to no entry, or to several."""
    links = re.findall(r"\[\[([^\]|#]+)(?:#[^\]|]*)?(?:\|[^\]]*)?\]\]", prose(parted(path)[1]))
    return [link for link in links if known[link.strip().casefold()] != 1]


def lost_citations(path: Path) -> list[str]:
    """Return the keys that an entry cites and the bibliography beside its folder does not hold."""
    brackets = re.findall(r"\[(@[^\]]+)\]", prose(parted(path)[1]))
    keys = {key.rstrip(".") for bracket in brackets for key in re.findall(r"@([\w:.-]+)", bracket)}
    return sorted(keys - bibliography(path.parents[1] / "refs.bib"))


@cache
def bibliography(path: Path) -> frozenset[str]:
    """Return the keys of a bibliography, read once."""
    return frozenset(read_bibliography(path))


def broken_python(path: Path) -> list[str]:
    """Return what Python says against the blocks of an entry that are said to be Python."""
    said = []
    for language, code in fences(parted(path)[1]):
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
def known() -> Counter[str]:
    return names()


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_an_entry_has_the_fields_of_its_kind_and_leads_nowhere_in_vain(path, known):
    assert list(wrong_fields(path)) == []
    assert lost_links(path, known) == []
    assert lost_citations(path) == []
    assert broken_python(path) == []
    assert {command: unknown for command in commands(path.read_text()) if (unknown := unknown_words(command))} == {}


def test_no_two_entries_have_one_slug():
    stems = Counter(path.stem for path in pages())
    assert len(stems) >= 10
    assert [stem for stem, n in stems.items() if n > 1] == []


def test_control_a_bad_entry_is_found_out(tmp_path):
    (tmp_path / "terms").mkdir()
    (tmp_path / "refs.bib").write_text("@misc{known2020, author = {A, B}, title = {T}, year = {2020}}\n")
    good = tmp_path / "terms" / "good.md"
    good.write_text(
        "---\ntitle: Good\nkind: term\naliases: [fine]\nlevel: 1\ndefinition: D.\ntags: []\nsummary: S.\n---\n"
        "[[good]], [[Fine|shown]] `[[not a link]]` [@known2020, p. 3]\n"
        "```python\nx = 1\n```\n```console\n$ glassbook export m --two-files --out f\n```\n"
    )
    bad = tmp_path / "terms" / "Bad_slug.md"
    bad.write_text(
        "---\ntitle: Bad\nkind: page\ncorrections: [{said: x}]\n---\n[[nowhere]] [@known2020; @nobody1900]\n"
        "```python\nx = = 1\n```\n```console\n$ glassbook export m --three-files\n$ glassbook studdy list\n```\n"
        "`glassbook study lisst`\n"
    )
    known = names(tmp_path)
    assert not [*wrong_fields(good), *lost_links(good, known), *lost_citations(good), *broken_python(good)]
    assert [unknown_words(line) for line in commands(good.read_text())] == [[]]
    assert {"level", "kind page in terms/", "slug Bad_slug", "right"} <= set(wrong_fields(bad))
    assert lost_links(bad, known) == ["nowhere"] and lost_citations(bad) == ["nobody1900"]
    assert len(broken_python(bad)) == 1
    assert [unknown_words(line) for line in commands(bad.read_text())] == [["--three-files"], ["studdy"], ["lisst"]]
    (tmp_path / "terms" / "other.md").write_text("---\ntitle: Other\naliases: [fine]\n---\n")
    assert lost_links(good, names(tmp_path)) == ["Fine"]


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
