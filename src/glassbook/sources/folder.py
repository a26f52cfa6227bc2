"""The user's own data folder, and text files in it: plain, gzip or xz."""

import gzip
import io
import json
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TextIO, cast

from glassbook.core.errors import FileFormatError, SourceError

_UNREADABLE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, UnicodeDecodeError)


def data_folder() -> Path | None:
    """Return the folder that `GLASSBOOK_DATA` names, or None; raise SourceError when it is not there."""
    named = os.environ.get("GLASSBOOK_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise SourceError(f"GLASSBOOK_DATA names '{folder}', which is no folder; correct or unset it")
    return folder


def find_in_data_folder(relative: str) -> Path | None:
    """Return the file of this path inside `GLASSBOOK_DATA`, or None; raise SourceError for a path that leaves it."""
    inside = PurePosixPath(relative)
    if inside.is_absolute() or ".." in inside.parts:
        raise SourceError(f"'{relative}' lies outside the data folder; give a path inside it")
    folder = data_folder()
    path = folder / inside if folder else None
    return path if path and path.is_file() else None


@contextmanager
def open_binary(path: str | Path) -> Iterator[io.BufferedIOBase]:
    """Yield the decompressed bytes of a plain, .gz or .xz file; FileFormatError when they are damaged or missing."""
    path = Path(path)
    try:
        file = _opened(path)
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise FileFormatError(f"'{path}' cannot be opened ({reason}); check the path") from fault
    try:
        with file:
            yield file
    except _UNREADABLE as fault:
        raise FileFormatError(f"'{path}' is damaged ({fault}); fetch it again") from fault


def _opened(path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "rb")
    if path.suffix == ".xz":
        return lzma.LZMAFile(path, "rb")
    return open(path, "rb")


@contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """Yield the UTF-8 text of a plain, .gz or .xz file, line ends as they are; FileFormatError when it is damaged."""
    with open_binary(path) as file, io.TextIOWrapper(cast(BinaryIO, file), encoding="utf-8", newline="") as text:
        yield text


def read_jsonl(path: str | Path) -> Iterator[Any]:
    """Yield the value of each line of a JSON-lines file, one at a time; FileFormatError names file and line."""
    with open_binary(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as fault:
                raise FileFormatError(
                    f"line {number} of '{path}' is no JSON ({fault}); fetch the file again"
                ) from fault
            yield value
