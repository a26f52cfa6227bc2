"""The cache folder: where fetched files stay, one lock an item, and room enough before a fetch begins."""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassbook.core.errors import GlassbookError


def cache_dir() -> Path:
    """Return the folder of fetched files, made if missing: `GLASSBOOK_CACHE`, else the platform's cache folder."""
    if named := os.environ.get("GLASSBOOK_CACHE"):
        folder = Path(named).expanduser()
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "glassbook"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glassbook"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise GlassbookError(
            f"the cache folder '{folder}' cannot be made ({reason}); set GLASSBOOK_CACHE to another folder"
        ) from fault
    return folder.absolute()


@contextmanager
def item_lock(name: str) -> Iterator[None]:
    """Hold the lock of one cached item; another process that wants it waits, and a killed holder lets go."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    number = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def disk_free_check(path: str | Path, need_bytes: int) -> None:
    """Raise GlassbookError unless `need_bytes` are free where `path` is or will be."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise GlassbookError(
            f"'{path}' needs {need_bytes / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free there; "
            "free some space or set GLASSBOOK_CACHE to another folder"
        )
