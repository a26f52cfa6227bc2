"""One file over HTTP, resumed where an interrupted transfer stopped and trusted only after its checksum."""

import errno
import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from glassbook.core.errors import SourceError
from glassbook.files.atomic import disk_full
from glassbook.files.hashes import Progress, sha256_file
from glassbook.sources.cache import disk_free_check

PARTIAL_SUFFIX = ".partial"

_TIMEOUT = 30.0  # seconds without a byte
_ATTEMPTS = 4
_PAUSE = 0.5
_PIECE = 1 << 18
_DROPPED = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def fetch_url(url: str, to: str | Path, sha256: str, size: int, progress: Progress | None = None) -> Path:
    """Fetch `size` bytes from `url` into the file `to` and return its path.

    What arrived before an interruption stays beside `to` and is continued by the next call. Raises SourceError when
    the server cannot be reached or sends something else; `to` exists only with the right checksum.
    """
    to = Path(to)
    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceError(f"'{url}' cannot be fetched; give an address that begins with http:// or https://")
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(to.name + PARTIAL_SUFFIX)
    disk_free_check(to, size - _size(partial))
    _transfer(url, partial, size, progress)
    found = sha256_file(partial)
    if _size(partial) != size or found != sha256:
        partial.unlink()
        raise SourceError(
            f"what '{url}' sent is not the file that is wanted (its SHA-256 is {found[:12]}…, not {sha256[:12]}…); "
            f"it was removed: try again, or put the right file at '{to}'"
        )
    os.replace(partial, to)
    return to


def _transfer(url: str, partial: Path, size: int, progress: Progress | None) -> None:
    """Bring `partial` to `size` bytes, trying again after a dropped connection for as long as it helps."""
    failures, restarted = 0, False
    while _size(partial) < size:
        before = _size(partial)
        try:
            _request(url, partial, size, progress)
            fault: Exception = EOFError("the connection was closed early")
        except urllib.error.HTTPError as refused:
            if refused.code == 416 and before:
                # The server's file is shorter than what is here, so what is here is no part of it.
                partial.unlink()
                if not restarted:
                    restarted = True
                    continue
            raise SourceError(f"'{url}' was refused ({refused.code} {refused.reason}); check the address") from refused
        except _DROPPED as dropped:
            fault = dropped
        failures = 0 if _size(partial) > before else failures + 1
        if failures >= _ATTEMPTS:
            raise SourceError(_interrupted(url, partial, size, fault)) from fault
        if failures:
            time.sleep(_PAUSE * failures)


def _request(url: str, partial: Path, size: int, progress: Progress | None) -> None:
    """Ask for the bytes that are missing and append them; start over where the server sends all of them."""
    have = _size(partial)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with open(partial, "ab" if resumed else "wb") as file:
            try:
                _copy(answer, file, size, progress, partial.name.removesuffix(PARTIAL_SUFFIX))
            except OSError as fault:
                if fault.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise disk_full(partial) from fault
                raise


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, size: int, progress: Progress | None, label: str) -> None:
    # One byte more than is wanted shows a server that sends too much, and no more of it is stored.
    while (room := size + 1 - file.tell()) > 0 and (piece := answer.read(min(_PIECE, room))):
        file.write(piece)
        if progress:
            progress(f"fetching {label}", min(file.tell(), size), size)


def _interrupted(url: str, partial: Path, size: int, fault: Exception) -> str:
    target = partial.name.removesuffix(PARTIAL_SUFFIX)
    reason = getattr(fault, "reason", None) or fault
    return (
        f"'{url}' could not be fetched ({reason}): {_size(partial):,} of {size:,} bytes are here; "
        f"run this again with a network to go on, or put the file at '{partial.with_name(target)}'"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
