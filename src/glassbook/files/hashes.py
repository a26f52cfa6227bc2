"""Checksums of files, bytes and plain values."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassbook.core.errors import InputError

Progress = Callable[[str, int, int], None]
"""What reports how far something is: called with a label, the bytes done and the bytes in all."""

_STEP = 1 << 20


def sha256_file(path: str | Path, progress: Progress | None = None) -> str:
    """Return the hexadecimal SHA-256 of a file, read in pieces of 1 MiB."""
    path = Path(path)
    digest = hashlib.sha256()
    piece = bytearray(_STEP)
    view = memoryview(piece)
    with open(path, "rb", buffering=0) as file:
        total, done = path.stat().st_size, 0
        while count := file.readinto(piece):
            digest.update(view[:count])
            done += count
            if progress:
                progress(f"checking {path.name}", done, total)
    return digest.hexdigest()


def sha256_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no spaces, UTF-8.

    Raises InputError for what has no such spelling: NaN, infinities, keys that are no strings, foreign objects.
    """
    try:
        _check_keys(value)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as fault:
        raise InputError(
            f"a value has no canonical JSON form ({fault}); use text, finite numbers, lists and dicts"
        ) from fault


def hash_json(value: Any) -> str:
    """Return the hexadecimal SHA-256 of the canonical JSON of `value`; equal values have equal hashes."""
    return sha256_bytes(canonical_json(value))


def _check_keys(value: Any) -> None:
    # json.dumps would spell the keys 1 and "1" alike, and two different values would share a hash.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no string")
            _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_keys(item)
