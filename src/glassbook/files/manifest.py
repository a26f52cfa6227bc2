"""The list of what a folder holds, with checksums, written last: a folder without one is unfinished."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError
from glassbook.files.atomic import is_temporary, write_json
from glassbook.files.hashes import sha256_file
from glassbook.files.reading import shown

MANIFEST_NAME = "manifest.json"
_FORMAT = "glassbook-manifest/1"


class FileRecord(msgspec.Struct, frozen=True):
    """Size in bytes and SHA-256 of one file of a folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder is said to hold: files by their path inside it, and what its writer added."""

    files: dict[str, FileRecord]
    extra: dict[str, Any]


class _Stored(msgspec.Struct, frozen=True):
    format: str
    files: dict[str, FileRecord]
    extra: dict[str, Any]


def write_manifest(folder: str | Path, extra: dict[str, Any] | None = None) -> Manifest:
    """Write `manifest.json` into `folder` atomically and return it; call this when all else is written."""
    folder = Path(folder)
    files = {name: FileRecord((folder / name).stat().st_size, sha256_file(folder / name)) for name in _listing(folder)}
    stored = _Stored(_FORMAT, files, dict(extra or {}))
    write_json(folder / MANIFEST_NAME, msgspec.to_builtins(stored))
    return Manifest(stored.files, stored.extra)


def read_manifest(folder: str | Path) -> Manifest:
    """Return the manifest of `folder`; raise FileFormatError when it is missing, damaged or points outside."""
    path = Path(folder) / MANIFEST_NAME
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError as fault:
        raise FileFormatError(f"'{folder}' has no {MANIFEST_NAME}: it was never finished; make it again") from fault
    except (msgspec.DecodeError, RecursionError) as fault:
        raise FileFormatError(f"'{path}' is damaged ({fault}); make the folder again") from fault
    if stored.format != _FORMAT:
        raise FileFormatError(
            f"'{path}' has the format '{shown(stored.format)}' and '{_FORMAT}' is read here; update Glassbook"
        )
    for name in stored.files:
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise FileFormatError(f"'{path}' lists '{shown(name)}', outside the folder; do not trust it")
    return Manifest(stored.files, stored.extra)


def verify_manifest(folder: str | Path) -> list[str]:
    """Return one sentence for each file of `folder` that is missing, added or altered; an empty list means intact."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    present = set(_listing(folder))
    faults = [f"{name} is missing" for name in manifest.files if name not in present]
    faults += [f"{name} is not in the manifest" for name in sorted(present - manifest.files.keys())]
    for name, record in manifest.files.items():
        if name in present and (fault := _difference(folder / name, name, record)):
            faults.append(fault)
    return faults


def _difference(path: Path, name: str, record: FileRecord) -> str | None:
    size = path.stat().st_size
    if size != record.bytes:
        return f"{name} has {size:,} bytes, not {record.bytes:,}"
    if sha256_file(path) != record.sha256:
        return f"{name} has the right size but another content"
    return None


def _listing(folder: Path) -> list[str]:
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            inside = Path(parent, name).relative_to(folder).as_posix()
            if inside != MANIFEST_NAME and not is_temporary(name):
                found.append(inside)
    return sorted(found)
