"""Zip archives of other packages, their entries checked against the archive's own size before one is read."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glassbook.core.errors import FileFormatError
from glassbook.files.reading import damaged, shown

FAULTS = (
    ValueError, EOFError, KeyError, IndexError, RuntimeError, NotImplementedError, OverflowError, OSError, struct.error,
    zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile raises at a damaged archive; a password and an unknown version are RuntimeErrors."""

_MOST_ENTRIES = 10_000


@contextmanager
def open_zip(path: Path, times_its_size: int = 1) -> Iterator[zipfile.ZipFile]:
    """Yield an archive whose entries together are at most so many times its own size, and at most 10,000.

    Raises FileFormatError where it is none or damaged, also for what the block runs into while it reads.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            claimed = sum(entry.file_size for entry in entries)
            if len(entries) > _MOST_ENTRIES or claimed > times_its_size * size:
                raise damaged(path, f"its {len(entries):,} entries claim {claimed:,} bytes, and it has {size:,}")
            yield archive
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise FileFormatError(f"'{path}' cannot be opened ({shown(reason)}); check the path") from fault
    except FAULTS as fault:
        raise damaged(path, f"it is no whole zip archive ({shown(fault)})") from fault
