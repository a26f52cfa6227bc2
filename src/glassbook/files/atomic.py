"""Writing that can be killed anywhere: the old file or the new one is there, never a part of one."""

import ctypes
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from glassbook.core.errors import GlassbookError

TEMPORARY_SUFFIX = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_CURRENT_FOLDER = -100  # AT_FDCWD


def write_bytes(path: str | Path, data: bytes | bytearray | memoryview) -> None:
    """Replace the file at `path` by `data`, all or nothing; raise GlassbookError when the disk is full."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Replace the file at `path` by `text` in UTF-8, all or nothing."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Replace the file at `path` by `value` as indented JSON, all or nothing; NaN is refused with ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a binary file that takes the place of `path` when the block ends well.

    An exception inside the block, or a kill at any moment, leaves the old file untouched. Raises GlassbookError when
    the disk is full or the folder cannot be written to.
    """
    target = Path(os.path.realpath(path))
    _remove_leavings(target)
    temporary = _beside(target)
    with _explained(target, OSError):
        file = open(temporary, "xb")  # noqa: SIM115 (closed below, before the rename)
    try:
        with _explained(target), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _explained(target, OSError):
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path`, with all it then holds, when the block ends well.

    A folder that is there already stays whole until that moment and is then replaced.
    """
    target = Path(os.path.realpath(path))
    _remove_leavings(target)
    temporary = _beside(target)
    with _explained(target, OSError):
        temporary.mkdir()
    try:
        with _explained(target):
            yield temporary
            _sync_tree(temporary)
        with _explained(target, OSError):
            _put_in_place(temporary, target)
    finally:
        # After an exchange this is the old folder; after a failure, the unfinished one.
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(target.parent)


def is_temporary(name: str) -> bool:
    """Return whether a file of this name is the unfinished half of an atomic write."""
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def disk_full(path: Path) -> GlassbookError:
    """Return the error that says that what was to be written at `path` does not fit."""
    free = shutil.disk_usage(path.parent).free
    return GlassbookError(
        f"the disk is full: '{path}' could not be written, {free / 1e6:,.1f} MB are left there; "
        "free some space or choose another folder (what was there before is untouched)"
    )


@contextmanager
def _explained(path: Path, *kinds: type[OSError]) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno in _FULL:
            raise disk_full(path) from fault
        if isinstance(fault, kinds):
            reason = (fault.strerror or str(fault)).lower()
            raise GlassbookError(f"'{path}' cannot be written ({reason}); choose another folder") from fault
        raise


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def _remove_leavings(target: Path) -> None:
    """Remove what killed processes left half-written beside `target`."""
    if not target.parent.is_dir():
        return
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(f".{target.name}.")]
    for name in names:
        process = name.removeprefix(f".{target.name}.").partition("-")[0]
        if not name.endswith(TEMPORARY_SUFFIX) or not process.isdecimal() or _alive(int(process)):
            continue
        left = target.with_name(name)
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _put_in_place(new: Path, target: Path) -> None:
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(new, target):
        # No exchange on this file system: for an instant the old folder is only to be found under its other name.
        aside = target.with_name(f".{target.name}.old-{secrets.token_hex(4)}")
        os.rename(target, aside)
        try:
            os.rename(new, target)
        except OSError:
            os.rename(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step of the kernel; return whether this system can."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(_CURRENT_FOLDER, os.fsencode(first), _CURRENT_FOLDER, os.fsencode(second), _EXCHANGE)
    return done == 0


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(parent, name))
        _sync_folder(Path(parent))


def _sync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
