"""The pictures of a page: found beside it or among the assets, and copied under names of their own."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from glassbook.core.errors import GlassbookError
from glassbook.files.hashes import sha256_bytes
from glassbook.notebook.importing.sources import Source
from glassbook.notebook.resolving import PICTURES

LARGEST = 64 << 20
"""The most bytes that one file may have which is copied into the notebook."""

_UNSAFE = re.compile(r"[^\w.+=@-]+")
_ACTIVE = re.compile(
    rb"<script|\bon\w+\s*=|<foreignObject|javascript:|<iframe|<!ENTITY|(?:href|src)\s*=\s*[\"']?\s*(?:https?:)?//",
    re.IGNORECASE,
)
Fetch = Callable[[str], tuple[str, bytes]]
"""What gets a picture from elsewhere: called with its address, it returns a file name and the bytes."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to be copied: its name in `entries/assets`, its checksum and its bytes."""

    name: str
    sha256: str
    data: bytes


class Assets:
    """The files that an import copies, each content once; `standing` are the checksums of those that are there already."""

    def __init__(
        self, folder: Path | None, standing: Mapping[str, str], fetch: Fetch | None, kept: Mapping[str, str]
    ) -> None:
        self._folder = folder.resolve() if folder is not None else None
        self._standing, self._fetch = standing, fetch
        self._names: dict[str, str] = {sha256: name for name, sha256 in standing.items()}
        self._kept, self._failed = kept, set[str]()
        self.copied: dict[str, Asset] = {}
        self.fetched: dict[str, str] = {}
        self.remarks: list[str] = []

    def local(self, source: Source, address: str) -> str | None:
        """Return the name under which the file is copied that an address on a page names; None where there is none."""
        path = unquote(urlsplit(address).path)
        if not path or path.endswith("/") or "\0" in path:
            return None
        for folder, place in self._places(source, path):
            try:
                file = (folder / place).resolve()
                if file.is_relative_to(folder) and file.is_file() and file.suffix.lower() in PICTURES:
                    return self._copy(file, address)
            except (OSError, RuntimeError, ValueError):
                continue  # what cannot be reached is not there for this page, and is listed as unresolved
        return None

    def remote(self, address: str) -> str | None:
        """Return the name under which a picture from elsewhere lies here; None where it was not fetched."""
        if address in self.fetched:
            return self.fetched[address]
        kept = self._kept.get(address)
        if kept is not None and kept in self._standing:
            self.fetched[address] = kept
            return kept
        if self._fetch is None or address in self._failed:
            return None
        try:
            name, data = self._fetch(address)
        except GlassbookError as fault:
            self._failed.add(address)
            self.remarks.append(str(fault))
            return None
        self.fetched[address] = self._add(name, data)
        return self.fetched[address]

    def _places(self, source: Source, path: str) -> list[tuple[Path, str]]:
        """Return the folders in which a file may lie, each with the path below it."""
        inside = path.lstrip("/")
        here = source.path.parent
        beside = [] if path.startswith("/") else [(source.top, posixpath.join(_below(here, source.top), path))]
        places = [*beside, (source.top, inside)]
        if self._folder is not None:
            places += [(self._folder, inside), (self._folder, inside.partition("/")[2] or inside)]
            places += [(self._folder, posixpath.normpath(posixpath.join("/", path)).lstrip("/"))]
        return places

    def _copy(self, file: Path, address: str) -> str | None:
        size = file.stat().st_size
        if size > LARGEST:
            self.remarks.append(
                f"'{address}' has {size / 1e6:,.0f} MB, more than a notebook carries; it was not copied"
            )
            return None
        data = file.read_bytes()
        if file.suffix.lower() == ".svg" and _ACTIVE.search(data):
            self.remarks.append(f"'{address}' is a drawing that holds a program or calls elsewhere; it was not copied")
            return None
        return self._add(file.name, data)

    def _add(self, name: str, data: bytes) -> str:
        sha256 = sha256_bytes(data)
        if sha256 not in self._names:
            self._names[sha256] = self._free(_UNSAFE.sub("-", name).strip("-.") or "file", sha256)
        chosen = self._names[sha256]
        self.copied.setdefault(chosen, Asset(chosen, sha256, data))
        return chosen

    def _free(self, name: str, sha256: str) -> str:
        taken = {other.lower() for other in (*self._standing, *self.copied)}
        if name.lower() not in taken:
            return name
        stem, ending = posixpath.splitext(name)
        return f"{stem}-{sha256[:8]}{ending}"


def _below(folder: Path, top: Path) -> str:
    return folder.relative_to(top).as_posix() if folder.is_relative_to(top) else ""
