"""The pages to import: which files they are, and what is read of each. Nothing of them is ever written to."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassbook.files.hashes import sha256_bytes
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.front_matter import split_front_matter

ENDINGS = (".md", ".markdown", ".mdown", ".mdx")
LARGEST = 32 << 20
"""The most bytes that one page may have."""

_LEFT_OUT = ("node_modules", "__pycache__")


@dataclass(frozen=True, slots=True)
class Source:
    """One page as it was found: `name` is its path below the folder `top` that was given, `base` the name of that folder.

    `origin` is its path as seen from the notebook, by which it is known again.
    """

    path: Path
    origin: str
    top: Path
    name: str
    base: str
    fields: Mapping[str, Any]
    body: str
    body_line: int
    sha256: str

    @property
    def label(self) -> str:
        """Return the name by which reports speak of the page."""
        return f"{self.base}/{self.name}" if self.base else self.name

    def line(self, line: int) -> int:
        """Return the line of the file, counted from 1, that is line `line` of the body, counted from 0."""
        return self.body_line + line


@dataclass(frozen=True, slots=True)
class Found:
    """The pages of an import, and what was passed over on the way."""

    sources: tuple[Source, ...]
    passed_over: tuple[str, ...]


def read_sources(paths: Sequence[Path], root: Path) -> Found:
    """Return the pages at `paths`, files or folders; raise NotebookFaults that tell all that cannot be read."""
    if not paths:
        raise NotebookError("nothing was named to import; give a page or a folder of pages")
    sources: dict[Path, Source] = {}
    passed_over: list[str] = []
    faults: list[NotebookError] = []
    for given in paths:
        try:
            for file, top in _files(given, passed_over):
                if file.resolve() not in sources and not _is_entry(file, root):
                    try:
                        sources[file.resolve()] = _read(file, top, root)
                    except NotebookError as fault:
                        faults.append(fault)
        except NotebookError as fault:
            faults.append(fault)
    if faults:
        raise NotebookFaults(faults)
    return Found(tuple(sources.values()), tuple(passed_over))


def _files(given: Path, passed_over: list[str]) -> Iterator[tuple[Path, Path | None]]:
    """Yield the pages that a path names, each with the folder that was named, if one was."""
    try:
        is_folder, is_file = given.is_dir(), given.is_file()
        given.resolve(strict=True)
    except (OSError, RuntimeError) as fault:
        raise _unreadable(given, fault) from fault
    if is_file:
        yield given, None
        return
    if not is_folder:
        raise NotebookError(f"'{given}' is neither a file nor a folder; give a page in Markdown or a folder of pages")
    pages = list(_walk(given, passed_over))
    if not pages:
        raise NotebookError(f"the folder '{given}' holds no pages ({', '.join(ENDINGS)}); name the folder that does")
    yield from ((page, given) for page in pages)


def _walk(folder: Path, passed_over: list[str]) -> Iterator[Path]:
    def refuse(fault: OSError) -> None:
        raise _unreadable(Path(fault.filename or folder), fault) from fault

    inside = folder.resolve()
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        for name in sorted(names):
            page = Path(parent, name)
            if name.startswith(".") or page.suffix.lower() not in ENDINGS:
                continue
            if page.is_symlink() and not _leads_inside(page, inside):
                passed_over.append(f"'{page}' is a link that leads out of the folder or nowhere; it was passed over")
            else:
                yield page


def _leads_inside(page: Path, folder: Path) -> bool:
    try:
        return page.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError):
        return False


def _is_entry(file: Path, root: Path) -> bool:
    if file.resolve().is_relative_to((root / "entries").resolve()):
        raise NotebookError(f"'{file}' is an entry of this notebook already; import pages from elsewhere")
    return False


def _read(file: Path, top: Path | None, root: Path) -> Source:
    try:
        size = file.stat().st_size
        data = file.read_bytes() if size <= LARGEST else b""
    except OSError as fault:
        raise _unreadable(file, fault) from fault
    if size > LARGEST:
        raise NotebookError(f"'{file}' has {size / 1e6:,.0f} MB, and a page may have {LARGEST >> 20}; is it one?")
    if b"\0" in data:
        raise NotebookError(f"'{file}' is no text but a binary file; give a page in Markdown")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        told = f"this is no UTF-8 (byte {data[fault.start]:#04x}); save the page in UTF-8 and import it again"
        raise NotebookError(told, path=str(file), line=line) from fault
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise NotebookError(f"'{file}' is empty; there is nothing to import")
    fields, body, body_line = _front_matter(text, str(file))
    folder = top if top is not None else file.parent
    name = file.relative_to(folder).as_posix()
    base = folder.resolve().name if top is not None else ""
    origin = Path(os.path.relpath(file.resolve(), root)).as_posix()
    return Source(file.resolve(), origin, folder.resolve(), name, base, fields, body, body_line, sha256_bytes(data))


def _front_matter(text: str, path: str) -> tuple[dict[str, Any], str, int]:
    """Return the fields, the body and the line where it begins; front matter between `+++` is TOML."""
    if not text.startswith("+++\n"):
        return split_front_matter(text, path)
    end = text.find("\n+++", 3)
    if end < 0:
        raise NotebookError("the front matter that '+++' opens is never closed; close it", path=path, line=1)
    try:
        fields = tomllib.loads(text[4 : end + 1])
    except tomllib.TOMLDecodeError as fault:
        raise NotebookError(f"this front matter is no TOML ({fault})", path=path, line=1) from fault
    rest = text.find("\n", end + 1)
    body = text[rest + 1 :] if rest >= 0 else ""
    return fields, body, text[: len(text) - len(body)].count("\n") + 1


def _unreadable(path: Path, fault: BaseException) -> NotebookError:
    reason = (fault.strerror if isinstance(fault, OSError) else str(fault)) or "it cannot be followed"
    return NotebookError(f"'{path}' cannot be read ({reason.lower()}); check the path and its permissions")
