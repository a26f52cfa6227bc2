"""Entries: one Markdown file each, of a kind that says in which folder it lies and which fields it has."""

import datetime
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glassbook.core.registry import Registry
from glassbook.evidence.corrections import Correction
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.fields import COMMON, Field, check_fields, day, is_yes
from glassbook.notebook.front_matter import split_front_matter


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry: the folder it lies in, what one and several of it are called, and its own fields."""

    name: str
    folder: str
    label: str
    fields: tuple[Field, ...] = ()

    @property
    def all_fields(self) -> dict[str, Field]:
        """Return the fields of every entry and those of this kind, by name."""
        return {field.name: field for field in (*COMMON, *self.fields)}


KINDS: Registry[Kind] = Registry("kind of entry")
for _kind in (
    Kind(
        "paper",
        "papers",
        "Papers",
        (
            Field("authors", "list of text"),
            Field("year", "whole number"),
            Field("arxiv", "text"),
            Field("doi", "text"),
            Field("url", "web address"),
            Field("topics", "list of text"),
            Field("status", "text", among=("to read", "reading", "read")),
            Field("cite", "text"),
        ),
    ),
    Kind(
        "term",
        "terms",
        "Terms",
        (Field("level", "whole number"), Field("definition", "text")),
    ),
    Kind("log", "log", "Log", (Field("period", "text"),)),
    Kind("achievement", "achievements", "Achievements", (Field("quarter", "quarter"),)),
    Kind("meeting", "meetings", "Meetings", (Field("with", "text"),)),
    Kind("post", "posts", "Posts"),
    Kind("project", "projects", "Projects", (Field("role", "text"), Field("period", "text"))),
    Kind(
        "study",
        "studies",
        "Studies",
        (
            Field("study", "text"),
            Field("size", "text"),
            Field("paper", "text"),
            Field("verdicts", "text"),
            Field("written_by", "text"),
        ),
    ),
    Kind("page", "pages", "Pages"),
):
    KINDS.add(_kind.name)(_kind)
_FOLDERS = frozenset(KINDS.find(_name).folder for _name in KINDS)


@dataclass(frozen=True)
class Entry:
    """One entry as its file has it. `fields` are the front matter as found; the body begins on line `body_line`."""

    path: Path
    slug: str
    kind: str
    title: str
    fields: Mapping[str, Any]
    body: str
    body_line: int

    @cached_property
    def folder(self) -> str:
        """Return the folder of its kind, in the notebook as on the site."""
        return KINDS.find(self.kind).folder

    @cached_property
    def address(self) -> str:
        """Return where its page lies below the site's root: `terms/gpt-2.html`."""
        return "index.html" if self.is_home else f"{self.folder}/{self.slug}.html"

    @property
    def is_home(self) -> bool:
        """Return whether its text stands on the first page, which `pages/home.md` does."""
        return self.kind == "page" and self.slug == "home"

    @property
    def private(self) -> bool:
        """Return whether it stays out of the site."""
        return is_yes(self.fields.get("private", False))

    @property
    def draft(self) -> bool:
        """Return whether its page is marked as a draft."""
        return is_yes(self.fields.get("draft", False))

    @property
    def aliases(self) -> tuple[str, ...]:
        """Return the other names under which it is found."""
        return tuple(map(str, self.fields.get("aliases") or ()))

    @property
    def tags(self) -> tuple[str, ...]:
        """Return its tags."""
        return tuple(map(str, self.fields.get("tags") or ()))

    @property
    def summary(self) -> str:
        """Return what it says in one sentence, or nothing."""
        return str(self.fields.get("summary") or "")

    @property
    def definition(self) -> str:
        """Return what a term means in one sentence; of another entry its summary."""
        return str(self.fields.get("definition") or self.summary)

    @property
    def level(self) -> int | None:
        """Return how high-level a term is, 1 being the highest."""
        return self.fields.get("level")

    @property
    def date(self) -> datetime.date | None:
        """Return the day it is dated, from `date` or the `publish_date` that other generators write."""
        return day(self.fields.get("date") or self.fields.get("publish_date"))

    @cached_property
    def corrections(self) -> tuple[Correction, ...]:
        """Return what is said wrongly somewhere, what is right, and where that stands."""
        rows = self.fields.get("corrections") or ()
        return tuple(Correction(**{name: str(value) for name, value in row.items()}) for row in rows)


def read_entry(path: Path) -> Entry:
    """Return the entry in a file; raise NotebookError with file and line for all that is wrong with its fields.

    A file without front matter is an entry too: the folder tells its kind and the first heading its title.
    """
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise NotebookError("this is no text in UTF-8; save it as UTF-8", path=name, line=1) from fault
    except OSError as fault:
        raise NotebookError(
            f"this cannot be read ({fault.strerror}); check that it is a readable file", path=name
        ) from fault
    fields, body, line = split_front_matter(text, name)
    kind = _kind_of(fields, path)
    faults = [
        NotebookError(sentence, path=name, line=line_of(text, field))
        for field, sentence in check_fields(fields, KINDS.find(kind).all_fields, kind)
    ]
    if path.parent.name in _FOLDERS and path.parent.name != KINDS.find(kind).folder:
        faults.append(NotebookError(_elsewhere(kind, path), path=name, line=line_of(text, "kind")))
    title = _title_of(fields, body)
    if not title:
        faults.append(
            NotebookError("this entry has no title; write 'title: …' into its front matter", path=name, line=1)
        )
    if faults:
        raise NotebookFaults(faults)
    return Entry(path, slug_of(path.stem), kind, title, fields, body, line)


def slug_of(text: str) -> str:
    """Return a text as it stands in addresses: lower case, words joined by hyphens; letters of every script stay."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[^\w]+|_+", "-", plain).strip("-") or "entry"


def _kind_of(fields: Mapping[str, Any], path: Path) -> str:
    named = fields.get("kind")
    if named is None:
        return next((name for name in KINDS if KINDS.find(name).folder == path.parent.name), "page")
    if named not in KINDS:
        known = ", ".join(KINDS)
        sentence = f"'{named}' is no kind of entry; write one of {known}"
        raise NotebookError(sentence, path=str(path), line=line_of(path.read_text(encoding="utf-8"), "kind"))
    return str(named)


def _elsewhere(kind: str, path: Path) -> str:
    right = next(name for name in KINDS if KINDS.find(name).folder == path.parent.name)
    return f"a {kind} lies in '{KINDS.find(kind).folder}/'; move the file there, or write 'kind: {right}'"


def _title_of(fields: Mapping[str, Any], body: str) -> str:
    if fields.get("title") is not None:
        return str(fields["title"]).strip()
    without_code = re.sub(r"^(```|~~~).*?^\1", "", body, flags=re.MULTILINE | re.DOTALL)
    heading = re.search(r"^#[ \t]+(.+?)[ \t]*#*$|^(\S.*)\n=+[ \t]*$", without_code, re.MULTILINE)
    return _plain(heading[1] or heading[2]) if heading else ""


def _plain(heading: str) -> str:
    """Return the words of a heading without its links, tags and emphasis."""
    words = re.sub(r"\[\[(?:[^\]|]*\|)?([^\]]*)\]\]|!?\[([^\]]*)\]\([^)]*\)|<[^>]*>", r"\1\2", heading)
    return " ".join(re.sub(r"[*`]|\b_|_\b", "", words).split())


def line_of(text: str, field: str) -> int:
    """Return the line on which a field of the front matter stands."""
    lines = (number for number, line in enumerate(text.split("\n"), 1) if line.startswith(f"{field}:"))
    return next(lines, 1)
