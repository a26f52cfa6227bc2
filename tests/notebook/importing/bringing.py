"""A fresh notebook, what was imported into it, and what a reader finds there, told without the importer's own counting."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from glassbook.notebook.entries import Entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing import ImportOptions, ImportReport, import_pages
from glassbook.notebook.importing.cutting import MOVED
from glassbook.notebook.markdown import Piece, Rendered, render
from glassbook.notebook.notebook import Notebook, open_notebook
from glassbook.notebook.resolving import EntryResolver

WORD = re.compile(r"w\d{4}x")
_TO_ENTRY = re.compile(r"\.\./[\w-]+/[^)#\"\s]*\.md")


class Unmeasured:
    """No run was kept: an imported page that asks for one has been read wrongly."""

    def claim(self, key: str) -> Piece:
        raise NotebookError(f"there is no claim {key}")

    view = study = picture = claim

    def number(self, place: str, field: str, text: str) -> Piece:
        raise NotebookError(f"there is no number {place}")


@dataclass(frozen=True)
class Brought:
    """A notebook after an import."""

    root: Path
    report: ImportReport

    @property
    def notebook(self) -> Notebook:
        return open_notebook(self.root)

    def entry(self, slug: str) -> Entry:
        """Return the entry of a slug."""
        return next(entry for entry in self.notebook.entries if entry.slug == slug)

    def kinds(self) -> dict[str, list[str]]:
        """Return the slugs of each kind, sorted."""
        found: dict[str, list[str]] = {}
        for entry in self.notebook.entries:
            found.setdefault(entry.kind, []).append(entry.slug)
        return found

    def rendered(self) -> dict[str, Rendered]:
        """Return the page of every entry, by its place below `entries`; none may hold a fault."""
        notebook = self.notebook
        asked = ((entry, EntryResolver(notebook, Unmeasured(), entry)) for entry in notebook.entries)
        return {
            f"{entry.folder}/{entry.path.name}": render(entry.body, resolver, path=str(entry.path))
            for entry, resolver in asked
        }


def fresh(folder: Path, name: str = "notebook") -> Path:
    """Return the folder of a notebook without entries."""
    root = folder / name
    root.mkdir(parents=True)
    (root / "glassbook.toml").write_text('[notebook]\ntitle = "New"\n')
    return root


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder and return it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def bring(folder: Path, files: dict[str, str | bytes] | str, *given: str, **options: object) -> Brought:
    """Return a fresh notebook with these pages imported; a single text is the page `page.md`."""
    named = {"page.md": files} if isinstance(files, str) else files
    source = write(folder / "source", named)
    root = fresh(folder)
    paths = [source / name for name in given or list(named)[:1]]
    return Brought(root, import_pages(paths, root, ImportOptions(**options)))


def again(brought: Brought, *paths: Path, **options: object) -> ImportReport:
    """Import once more into the same notebook."""
    return import_pages(list(paths), brought.root, ImportOptions(**options))


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of every file below a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def words_of(text: str) -> Counter[str]:
    """Return the words of a generated page, each of which stands nowhere else."""
    return Counter(WORD.findall(text))


def words_in_entries(brought: Brought) -> Counter[str]:
    """Return those words as they stand in the texts of the entries, and in titles that stand for a heading of the source."""
    found: Counter[str] = Counter()
    for entry in brought.notebook.entries:
        body = MOVED.sub("", entry.body)
        in_body = words_of(_TO_ENTRY.sub("", body))
        in_title = words_of(entry.title)
        found.update(in_body)
        found.update({word: 1 for word in in_title if word not in in_body})
    return found
