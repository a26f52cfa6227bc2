"""Building: a notebook becomes a folder of pages, all of it or nothing, and only what changed is written anew."""

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import GlassbookError
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.history import history
from glassbook.notebook.kept import Known
from glassbook.notebook.links import lost_anchors
from glassbook.notebook.live import Measurements, private_runs
from glassbook.notebook.notebook import Notebook
from glassbook.notebook.remembered import CACHE
from glassbook.notebook.run_pages import run_pages
from glassbook.notebook.site import full_text, outputs
from glassbook.notebook.site.cards import Shelf
from glassbook.notebook.site.dressing import Dressing, Page
from glassbook.notebook.site.entry_pages import EntryPages
from glassbook.notebook.site.list_pages import ListPages
from glassbook.notebook.site.placing import site_folder
from glassbook.notebook.site.texts import Text, Texts, program

MARKER = ".glassbook-site.json"
"""The file by which a build knows a folder that an earlier one made, and what its pages were made from."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build: what the notebook is told of studies, and whether an index of all words is made."""

    known: Known
    search: bool = True


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A link or picture that leads nowhere, which an import may leave: where it stands, its address and its words."""

    path: str
    line: int
    address: str
    shown: str


@dataclass(slots=True)
class BuildReport:
    """What was built: how many pages, how many texts were rendered anew, pages written anew, what leads nowhere, and its cost."""

    out: Path
    pages: int = 0
    rendered: int = 0
    written: int = 0
    indexed: int = 0
    unresolved: list[Unresolved] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {**msgspec.to_builtins(self, enc_hook=str), "out": str(self.out)}


def build(notebook: Notebook, out: Path, options: BuildOptions) -> BuildReport:
    """Write the site of a notebook into `out` and return what was done.

    The site that was there stays whole until the new one is, whatever interrupts. Raises NotebookFaults with every broken
    link, unknown name and number that its run does not have, each with file and line; then nothing is written. Raises
    GlassbookError for a folder that holds something else.
    """
    out = out.absolute()
    _check_out(out, notebook.root)
    report, clock = BuildReport(out), _Clock()
    measured = Measurements(notebook.root, options.known, hidden=private_runs(notebook.entries))
    texts = Texts(notebook, measured, notebook.root / CACHE)
    found = {entry.slug: text for entry in notebook.public if (text := texts.of(entry)) is not None}
    _check(notebook, found, texts.faults)
    clock.lap(report, "texts")
    changes = history(notebook.root)
    shelf = Shelf(notebook, measured, {one.slug: changes.get(one.path, ()) for one in notebook.public})
    pages = EntryPages(shelf, found)
    every = [pages.page(entry) for entry in notebook.public if not entry.is_home]
    every += [pages.run_page(run) for run in run_pages(measured)]
    every += ListPages(shelf, pages, texts).pages()
    texts.keep()
    clock.lap(report, "pages")
    has_search = options.search and full_text.is_installed()
    site = _Site(out, Dressing(shelf, has_search), report)
    with site_folder(out) as new:
        site.write(new, every, found)
        clock.lap(report, "writing")
        if has_search:
            report.indexed = full_text.index_words(new)
            clock.lap(report, "search")
    clock.lap(report, "putting in place")
    report.pages, report.rendered = len(every), sum(text.is_new for text in found.values())
    report.unresolved = [
        Unresolved(str(entry.path), one.line, one.address, one.shown)
        for entry in notebook.public
        for one in found[entry.slug].rendered.unresolved
    ]
    return report


@dataclass
class _Site:
    """Writes the files of a site; a page that would come out as it is in the site before is taken from there."""

    before: Path
    dressing: Dressing
    report: BuildReport

    def write(self, new: Path, pages: list[Page], texts: Mapping[str, Text]) -> None:
        """Write every file of the site into `new`."""
        earlier = self._read_marker()
        made = {page.address: self._write_page(new, page, earlier.get(page.address)) for page in pages}
        shelf = self.dressing.shelf
        settings = shelf.notebook.settings
        _put(new / "assets" / "names.js", outputs.names_script(shelf, texts).encode())
        if settings.address:
            _put(new / "feed.xml", outputs.feed(shelf).encode())
            _put(new / "sitemap.xml", outputs.sitemap(settings.address, made).encode())
        for address, path in outputs.assets(any(page.head.has_maths for page in pages)):
            _copy(path, new / address)
        for text in texts.values():
            for address, path in text.files.items():
                _copy(path, new / address)
        _put(new / MARKER, msgspec.json.encode({"made by": "glassbook build", "pages": dict(sorted(made.items()))}))

    def _write_page(self, new: Path, page: Page, earlier: "_Made | None") -> "_Made":
        """Write a page, or take it from the site before where it was made from the same and nobody has changed it since."""
        key, path = self._key(page), new / page.address
        path.parent.mkdir(parents=True, exist_ok=True)
        if earlier and earlier.key == key and _linked(self.before / page.address, path, earlier.sha256):
            return earlier
        html = self.dressing.html(page).encode()
        path.write_bytes(html)
        self.report.written += 1
        return _Made(key, _sha256(html))

    def _key(self, page: Page) -> str:
        """Return a checksum of all that a page is made from."""
        made_from = (program(), page, self.dressing.site(page.root, page.active))
        return _sha256(msgspec.msgpack.encode(made_from, enc_hook=str))

    def _read_marker(self) -> "dict[str, _Made]":
        try:
            return msgspec.json.decode((self.before / MARKER).read_bytes(), type=_Marker).pages
        except (OSError, msgspec.DecodeError):
            return {}


class _Made(msgspec.Struct):
    """Of one page of a site: the checksums of what it was made from, and of itself."""

    key: str
    sha256: str


class _Marker(msgspec.Struct):
    pages: dict[str, _Made]


@dataclass
class _Clock:
    started: float = field(default_factory=time.perf_counter)

    def lap(self, report: BuildReport, what: str) -> None:
        now = time.perf_counter()
        report.seconds[what], self.started = round(now - self.started, 3), now


def _check_out(out: Path, root: Path) -> None:
    """Raise GlassbookError where a build would take the place of something that no build made."""
    if out == root or root.is_relative_to(out):
        raise GlassbookError(f"'{out}' holds the notebook itself; name another folder with --out")
    if out.exists() and not out.is_dir():
        raise GlassbookError(f"'{out}' is a file; name a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise GlassbookError(
            f"'{out}' holds something that no build made, so it is left alone; name an empty folder with --out"
        )


def _check(notebook: Notebook, texts: Mapping[str, Text], faults: list[NotebookError]) -> None:
    """Raise NotebookFaults with all that is wrong in any text, and with links to headings that are not there."""
    entries = {entry.slug: entry for entry in notebook.public}
    lost = lost_anchors(entries, {slug: text.rendered for slug, text in texts.items()})
    if faults or lost:
        raise NotebookFaults(sorted([*faults, *lost], key=lambda fault: (fault.path, fault.line)))


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _linked(before: Path, path: Path, sha256: str) -> bool:
    """Return whether the file of the site before is what it was, and stands in the new one now too."""
    try:
        if _sha256(before.read_bytes()) != sha256:
            return False
        os.link(before, path)
    except OSError:
        return False
    return True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
