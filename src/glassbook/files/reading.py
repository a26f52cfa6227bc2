"""Bounded reading of containers: into the caller's memory, at a position, with errors that name the file."""

import os
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from glassbook.core.errors import FileFormatError

Opened = TypeVar("Opened", bound="ContainerFile")


def shown(text: object) -> str:
    """Return a stranger's text as it may stand in an error: short, and without line breaks or control codes."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text)[:80])


def damaged(path: Path, fault: str) -> FileFormatError:
    """Return the error for a container that is not what its name says."""
    return FileFormatError(f"'{path}' is damaged or not what its name says: {fault}; fetch or export the file again")


class ContainerFile:
    """An open file that is read by position, so that threads may share it and nothing is mapped into memory."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._number = os.open(self.path, os.O_RDONLY)
        except OSError as fault:
            reason = (fault.strerror or str(fault)).lower()
            raise FileFormatError(f"'{self.path}' cannot be opened ({reason}); check the path") from fault
        self.size = os.fstat(self._number).st_size

    def fill(self, buffer: memoryview | bytearray, position: int) -> None:
        """Fill `buffer` with the bytes from `position` on; raise FileFormatError when the file ends before."""
        view = memoryview(buffer).cast("B")
        while len(view):
            count = self._read_some(view, position)
            if count == 0:
                raise damaged(self.path, f"it ends at byte {position:,} while more was promised")
            view = view[count:]
            position += count

    def _read_some(self, view: memoryview, position: int) -> int:
        try:
            return os.preadv(self._number, [view], position)
        except OSError as fault:
            reason = (fault.strerror or str(fault)).lower()
            raise FileFormatError(f"'{self.path}' cannot be read ({reason}); check the path and the disk") from fault

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            self.close()
