"""What a text asks of the notebook is answered here, and every question is kept with its answer.

A rendered text holds as long as each of its questions would be answered as before: that is how a build knows what to render
again after an edit.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote

from glassbook.core.errors import GlassbookError
from glassbook.notebook.entries import Entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown.resolving import Cited, Live, Piece, Target
from glassbook.notebook.notebook import ENTRIES_FOLDER, Notebook

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg")
Question = tuple[str, ...]
Answer = TypeVar("Answer", Target, Cited, Piece, Target | None)


@runtime_checkable
class Measured(Protocol):
    """What shows numbers, pictures and tables of runs in a text; every address is as seen from an entry's page."""

    def claim(self, key: str) -> Piece: ...
    def view(self, key: str) -> Piece: ...
    def study(self, key: str) -> Piece: ...
    def number(self, place: str, field: str, text: str) -> Piece: ...
    def picture(self, address: str) -> Piece: ...


@dataclass
class EntryResolver:
    """Answers what the text of one entry asks, as it stands on `page`, which is its own unless another is given.

    `files` collects the pictures that it shows, by their address on the site.
    """

    notebook: Notebook
    measured: Measured
    asking: Entry
    page: str = ""
    asked: dict[Question, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    known: dict[tuple[str, Question], str] = field(default_factory=dict)
    """Checksums of answers, which the resolvers of one build share: texts of one folder ask much the same."""

    @cached_property
    def seen_from(self) -> str:
        """Return the folder of the page on which the text stands."""
        return (self.page or self.asking.address).rpartition("/")[0]

    def entry(self, name: str, anchor: str = "") -> Target:
        """Return the public entry of this name; raise NotebookError with the nearest name for one that there is not."""
        return self._kept(("entry", name, anchor), self._entry(name, anchor))

    def file(self, path: str) -> Target | None:
        """Return where a relative link leads: to the page of another entry, or to a picture below `entries`; else None."""
        return self._kept(("file", path), self._file(path))

    def citation(self, key: str) -> Cited:
        """Return a reference; raise NotebookError with the nearest key for one that no bibliography holds."""
        reference = self.notebook.references.get(key)
        if reference is None:
            raise NotebookError(
                f"nothing is cited as '{key}' in {ENTRIES_FOLDER}/refs.bib{self.notebook.hint_for_key(key)}"
            )
        return self._kept(("citation", key), Cited(key, reference.short, reference.full, f"#ref-{key}"))

    def live(self, what: Live, key: str) -> Piece:
        """Return the number, picture or table of a run."""
        ask = {"claim": self.measured.claim, "view": self.measured.view, "study": self.measured.study}[what]
        return self._kept(("live", what, key), ask(key))

    def number(self, place: str, field: str, text: str) -> Piece:
        """Return a number that its run has; raise NotebookError where it has another one."""
        return self._kept(("number", place, field, text), self.measured.number(place, field, text))

    def picture(self, address: str) -> Piece:
        """Return the picture of a View."""
        return self._kept(("picture", address), self.measured.picture(address))

    def _kept(self, question: Question, answer: Answer) -> Answer:
        key = (self.stands_in, question)
        if key not in self.known:
            self.known[key] = digest(answer)
        self.asked[question] = self.known[key]
        return answer

    @cached_property
    def stands_in(self) -> str:
        """Return from where addresses are seen: the folder of the file and that of the page."""
        return f"{self.asking.folder}:{self.seen_from}"

    def _entry(self, name: str, anchor: str) -> Target:
        found = self.notebook.find(name)
        if found is None:
            near = self.notebook.nearest(name)
            hint = f"did you mean '{near}'?" if near else "write it, or link to its source"
            raise NotebookError(f"no entry is called '{name}'; {hint}")
        return self._target(found, anchor)

    def _target(self, entry: Entry, anchor: str) -> Target:
        if entry.private:
            raise NotebookError(
                "this leads to a private entry, so no page shows it; take the link out, or publish the entry"
            )
        href = relative(entry.address, self.seen_from)
        return Target(f"{href}#{anchor}" if anchor else href, entry.title, entry.slug, entry.definition)

    def _file(self, path: str) -> Target | None:
        plain, _, anchor = path.partition("#")
        place = normpath(PurePosixPath(self.asking.folder, unquote(plain)))
        if path.startswith("/") or place.startswith(".."):
            return None
        if place.endswith(".md"):
            found = self.notebook.by_place.get(place)
            return self._target(found, anchor) if found else None
        return self._picture(place)

    def _picture(self, place: str) -> Target | None:
        below = (self.notebook.root / ENTRIES_FOLDER).resolve()
        file = below / place
        if not place.lower().endswith(PICTURES) or not file.is_file() or not file.resolve().is_relative_to(below):
            return None
        address = place if place.startswith("assets/") else f"assets/{place}"
        self.files[address] = file
        return Target(relative(address, self.seen_from), file.name)


def relative(address: str, folder: str) -> str:
    """Return an address of the site as seen from the pages of a folder of it, the root's being ''."""
    here, _, name = address.rpartition("/")
    if here == folder or not folder:
        return name if here == folder else address
    if here.partition("/")[0] != folder.partition("/")[0]:
        # Nothing is shared, which relpath finds out a hundred times slower.
        return "../" * (folder.count("/") + 1) + address
    return relpath(address, folder)


def digest(answer: Target | Cited | Piece | None) -> str:
    """Return a checksum of an answer."""
    return "" if answer is None else hashlib.sha256(repr(answer).encode("utf-8", "surrogatepass")).hexdigest()


def still_holds(resolver: EntryResolver, asked: Mapping[Question, str]) -> bool:
    """Return whether every question would be answered as it was."""
    return all(_again(resolver, question) == was for question, was in asked.items())


def _again(resolver: EntryResolver, question: Question) -> str | None:
    what, *arguments = question
    known = resolver.known.get((resolver.stands_in, question))
    # Which pictures a text shows, the resolver hears only when it is asked.
    if known is not None and what != "file":
        return known
    try:
        getattr(resolver, what)(*arguments)
    except GlassbookError:
        return None
    return resolver.asked[question]
