"""References as an earlier build read them: BibTeX takes its time, and seldom changes."""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from glassbook.core.errors import GlassbookError
from glassbook.evidence import citations
from glassbook.evidence.citations import Reference, read_bibliography
from glassbook.files.atomic import write_bytes

CACHE = Path(".glassbook", "cache")
"""Where a notebook keeps what can be made again; builds make this folder."""


class _Kept(msgspec.Struct):
    """The references of a bibliography, and the checksum of it and of the program that read it."""

    read: str
    references: dict[str, Reference]


def remembered(path: Path, root: Path) -> dict[str, Reference]:
    """Return the references of a bibliography of the notebook at `root`; raise InputError as `read_bibliography` does."""
    memory = root / CACHE / f"{path.name}.msgpack"
    read = _checksum(path)
    try:
        kept = msgspec.msgpack.decode(memory.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        kept = None
    if kept is not None and kept.read == read:
        return kept.references
    references = read_bibliography(path)
    if memory.parent.is_dir() and read == _checksum(path):
        # A cache that cannot be written costs time, and nothing else.
        with suppress(OSError, GlassbookError):
            write_bytes(memory, msgspec.msgpack.encode(_Kept(read, references)))
    return references


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes() + Path(citations.__file__).read_bytes()).hexdigest()
    except OSError:
        return ""
