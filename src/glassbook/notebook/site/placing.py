"""A site takes the place of the one before, whole or not at all, whatever interrupts."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The steps of `atomic_folder`, whose one other step, to sync file by file, takes seconds for a thousand pages.
from glassbook.files.atomic import (
    _beside,
    _explained,
    _put_in_place,
    _remove_leavings,
    _sync_folder,
    _sync_tree,
)


@contextmanager
def site_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path`, with all it then holds, when the block ends well.

    What is there already stays whole until that moment. Raises GlassbookError when the disk is full or cannot be written to.
    """
    target = Path(os.path.realpath(path))
    with _explained(target, OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leavings(target)
        temporary = _beside(target)
        temporary.mkdir()
    try:
        with _explained(target):
            yield temporary
            _sync(temporary)
        with _explained(target, OSError):
            _put_in_place(temporary, target)
    finally:
        # After an exchange this is the site before; after a failure, the unfinished one.
        shutil.rmtree(temporary, ignore_errors=True)
    _sync_folder(target.parent)


def _sync(folder: Path) -> None:
    """Bring a folder to the disk: by one call where the system has it, else file by file."""
    number = os.open(folder, os.O_RDONLY)
    try:
        call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if call is None:
            _sync_tree(folder)
        elif call(number) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(number)
