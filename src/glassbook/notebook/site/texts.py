"""The texts of all entries, rendered: those of before are taken again as long as every question would be answered as it was."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec

import glassbook
from glassbook.core.errors import GlassbookError
from glassbook.files.atomic import write_bytes
from glassbook.notebook.entries import Entry
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.live import Measurements
from glassbook.notebook.markdown import Rendered, render
from glassbook.notebook.markdown.katex import Formulas
from glassbook.notebook.notebook import Notebook
from glassbook.notebook.resolving import EntryResolver, Question, still_holds

_CACHE_FILE = "texts.msgpack"


@dataclass(frozen=True)
class Text:
    """One rendered text with the pictures that it shows, by their address on the site."""

    rendered: Rendered
    files: Mapping[str, Path]
    is_new: bool


@dataclass
class Texts:
    """Renders entries, and keeps what it rendered below `folder` for the next build."""

    notebook: Notebook
    measured: Measurements
    folder: Path
    faults: list[NotebookError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._formulas = Formulas(self.folder / "formulas")
        self._seen: dict[str, Measurements] = {}
        self._known: dict[tuple[str, Question], str] = {}
        self._earlier, self._kept, self._is_new = self._read(), dict[str, _Earlier](), False

    def of(self, entry: Entry, page: str = "") -> Text | None:
        """Return the text of an entry as it stands on `page` (its own, unless another is given); its faults are collected."""
        resolver = EntryResolver(
            self.notebook, self.seen_from(page or entry.address), entry, page=page, known=self._known
        )
        name, key = f"{entry.address} {page}", _key(entry, page)
        kept = self._earlier.get(name)
        if kept is not None and kept.key == key and still_holds(resolver, dict(kept.asked)):
            self._kept[name] = kept
            return Text(kept.rendered, resolver.files, is_new=False)
        try:
            rendered = render(
                without_title(entry),
                resolver,
                path=str(entry.path),
                first_line=entry.body_line,
                formulas=self._formulas,
            )
        except NotebookFaults as fault:
            self.faults += fault.faults
            return None
        self._kept[name], self._is_new = _Earlier(key, list(resolver.asked.items()), rendered), True
        return Text(rendered, resolver.files, is_new=True)

    def keep(self) -> None:
        """Keep what was rendered for the next build. A cache that cannot be written costs time, and nothing else."""
        if not self._is_new and len(self._kept) == len(self._earlier):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self.folder / _CACHE_FILE, msgspec.msgpack.encode(self._kept))
        except (OSError, GlassbookError):
            return

    def seen_from(self, page: str) -> Measurements:
        """Return what was measured, with addresses as seen from a page."""
        to_root = "../" * page.count("/")
        if to_root not in self._seen:
            self._seen[to_root] = replace(self.measured, to_root=to_root)
        return self._seen[to_root]

    def _read(self) -> "dict[str, _Earlier]":
        try:
            return msgspec.msgpack.decode((self.folder / _CACHE_FILE).read_bytes(), type=dict[str, _Earlier])
        except (OSError, msgspec.DecodeError):
            return {}


def without_title(entry: Entry) -> str:
    """Return a text whose first line is left blank where it is the title as a heading, which stands above it already."""
    first, newline, rest = entry.body.partition("\n")
    heading = first.lstrip("#").strip().strip("#").strip()
    is_title = first.startswith("# ") and (heading == entry.title or "title" not in entry.fields)
    return newline + rest if is_title or (first.startswith("# ") and entry.kind == "study") else entry.body


class _Earlier(msgspec.Struct):
    """A text as an earlier build kept it."""

    key: str
    asked: list[tuple[tuple[str, ...], str]]
    rendered: Rendered


def _key(entry: Entry, page: str) -> str:
    """Return what a rendering rests on beside its questions: the text, its place, and the program that renders it."""
    return hashlib.sha256(f"{program()}\0{entry.path}\0{page}\0{entry.body_line}\0{entry.body}".encode()).hexdigest()


@cache
def program() -> str:
    """Return a checksum of what writes sites: of the files of this program, and so the same in every copy of it."""
    folder = Path(glassbook.__file__).parent
    digest = hashlib.sha256(glassbook.__version__.encode())
    for room in ("notebook", "views", "evidence"):
        for path in sorted((folder / room).rglob("*")):
            if path.suffix in (".py", ".html", ".css", ".js"):
                digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
