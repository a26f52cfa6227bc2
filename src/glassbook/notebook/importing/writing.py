"""Writing an import: everything into a folder of its own first, then each file to its place, so that a kill leaves none half."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from glassbook.files.atomic import disk_full, write_text
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing.journal import FOLDER, Journal, read_journal, write_journal

_STAGING = ".staging"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def only_import(root: Path) -> Iterator[None]:
    """Hold the notebook for one import at a time; what a killed one left half-written is removed."""
    folder = root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as fault:
        raise _cannot(folder, fault) from fault
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        shutil.rmtree(folder / _STAGING, ignore_errors=True)
        yield
    finally:
        os.close(number)


def write_import(root: Path, name: str, files: Mapping[str, bytes], journals: tuple[Journal, Journal]) -> None:
    """Write `files`, by path below the notebook, and the record of the import.

    The first of `journals` is written before any file takes its place: it names what is about to change, so that an import
    that is killed then goes on where it stopped. Raises GlassbookError when the disk is full; then nothing has changed.
    """
    planned, final = journals
    staging = root / FOLDER / _STAGING
    try:
        if files:
            moves = _stage(root, staging, files)
            write_journal(root, name, planned)
            for source, target in moves:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
            for folder in sorted({target.parent for _, target in moves}):
                _sync(folder)
        if final != read_journal(root, name):
            write_journal(root, name, final)
    except OSError as fault:
        target = Path(fault.filename or staging)
        raise (disk_full(staging.parent) if fault.errno in _FULL else _cannot(target, fault)) from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_report(root: Path, name: str, text: str) -> None:
    """Write the report of an import beside its record, unless it says the same already."""
    path = root / FOLDER / f"{name}.md"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _stage(root: Path, staging: Path, files: Mapping[str, bytes]) -> list[tuple[Path, Path]]:
    staging.mkdir()
    moves = []
    for number, (path, data) in enumerate(files.items()):
        staged = staging / f"{number}"
        with open(staged, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        moves.append((staged, root / path))
    _sync(staging)
    return moves


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _cannot(path: Path, fault: OSError) -> NotebookError:
    reason = (fault.strerror or str(fault)).lower()
    return NotebookError(f"'{path}' cannot be written ({reason}); check the notebook's folder and its permissions")
