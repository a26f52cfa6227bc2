"""New entries: the file of each kind with its fields filled in as far as they are known, and the headings one begins with."""

import datetime
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassbook.evidence.citations import Author, Reference
from glassbook.files.atomic import write_text
from glassbook.notebook.entries import KINDS, slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import join_front_matter
from glassbook.notebook.notebook import ENTRIES_FOLDER, read_references

NOTES = ("Problem", "Proposal", "Purpose", "Background", "Observations")
"""The headings of notes on a paper."""

_BODIES = {
    "term": "What it is, in a sentence; then why it matters, how it works, and what people get wrong.\n",
    "log": "## Courses\n\n## Articles and papers\n\n## Sessions and lectures\n\n## What comes next\n",
    "achievement": "- \n",
    "meeting": "## What was asked\n\n## What I take along\n\n## To do\n\n- [ ] \n",
    "project": "What it is for, what I do in it, and how far it is.\n",
}
_ENTRY_TYPES = {
    "article-journal": "article",
    "paper-conference": "inproceedings",
    "book": "book",
    "thesis": "phdthesis",
}


def new_entry(root: Path, kind: str, title: str, day: datetime.date, fields: Mapping[str, Any] | None = None) -> Path:
    """Write a new entry and return its path; raise NotebookError where a file of its name is there already.

    A log is named after its period, an achievement after its quarter; a meeting is private.
    """
    known = KINDS.find(kind)
    title = " ".join(title.split())
    if not title:
        raise NotebookError(f"a {kind} needs a title; write it after `glassbook new {kind}`")
    found = {"title": title, "kind": kind, "date": day, **_of_kind(kind, title, day), **(fields or {})}
    body = "".join(f"## {heading}\n\n" for heading in NOTES) if kind == "paper" else _BODIES.get(kind, "")
    path = root / ENTRIES_FOLDER / known.folder / f"{slug_of(title)}.md"
    if path.exists():
        raise NotebookError(f"'{path}' is there already and stays as it is; choose another title, or write on in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, join_front_matter({name: value for name, value in found.items() if value is not None}, body))
    return path


def paper_fields(reference: Reference) -> dict[str, Any]:
    """Return the fields of an entry on a paper, as far as its reference knows them."""
    authors = [str(author) for author in reference.authors]
    known = {
        "authors": authors,
        "year": reference.year,
        "arxiv": reference.arxiv,
        "doi": reference.doi,
        "url": reference.url,
    }
    return {name: value for name, value in known.items() if value} | {"status": "to read", "cite": reference.key}


def find_paper(references: Mapping[str, Reference], text: str, number: str | None) -> Reference | None:
    """Return the reference of this key, arXiv number, DOI or title."""
    plain = text.strip().casefold()
    for reference in references.values():
        names = {reference.key.casefold(), reference.doi.casefold(), reference.title.casefold()} - {""}
        if plain in names or (number and reference.arxiv == number):
            return reference
    return None


def reference_from(title: str, authors: list[str], year: int, arxiv: str, taken: Mapping[str, Reference]) -> Reference:
    """Return a reference with a key that is free: the first author's family name and the year."""
    people = tuple(Author(name.rpartition(" ")[2], name.rpartition(" ")[0]) for name in authors)
    plain = (
        unicodedata.normalize("NFKD", people[0].family if people else "anonymous").encode("ascii", "ignore").decode()
    )
    stem = f"{re.sub(r'[^a-z]', '', plain.lower()) or 'paper'}{year}"
    key = next(
        key for key in (stem, *(f"{stem}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")) if key not in taken
    )
    return Reference(
        key=key, title=title, authors=people, year=year, where=f"arXiv:{arxiv}" if arxiv else "", arxiv=arxiv
    )


def add_reference(root: Path, reference: Reference) -> Path:
    """Write a reference at the end of `entries/refs.bib`, what is there untouched; one whose key is there is left alone."""
    path = root / ENTRIES_FOLDER / "refs.bib"
    if reference.key in read_references(root):
        return path
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, before + gap + as_bibtex(reference))
    return path


def as_bibtex(reference: Reference) -> str:
    """Return a reference as BibTeX, which `read_bibliography` reads back."""
    fields = {
        "title": f"{{{_guarded(reference.title)}}}",
        "author": " and ".join(_guarded(f"{one.family}, {one.given}".rstrip(", ")) for one in reference.authors),
        "year": str(reference.year or ""),
        "journal": _guarded(reference.where),
        "doi": reference.doi,
        "eprint": reference.arxiv,
        "url": reference.url,
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{_ENTRY_TYPES.get(reference.kind, 'article')}{{{reference.key},", *lines, "}\n"])


def _guarded(text: str) -> str:
    """Return text without what BibTeX reads as its own."""
    return re.sub(r"[{}\\@]", " ", text).replace("%", "\\%").replace("&", "\\&").replace("#", "\\#")


def _of_kind(kind: str, title: str, day: datetime.date) -> dict[str, Any]:
    quarter = f"{day.year}-Q{(day.month - 1) // 3 + 1}"
    known: dict[str, dict[str, Any]] = {
        "term": {"aliases": [], "level": 3, "definition": ""},
        "log": {"period": title if re.match(r"\d{4}", title) else quarter},
        "achievement": {"quarter": quarter},
        "meeting": {"with": "", "private": True},
        "paper": {"status": "to read"},
    }
    return known.get(kind, {})
