"""Named arrays in one compressed `.npz` file: the same bytes for the same arrays, and never a pickle."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError
from glassbook.files.atomic import write_bytes
from glassbook.files.reading import damaged

_FAULTS = (
    ValueError, EOFError, KeyError, RuntimeError, MemoryError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What zip and numpy raise at a damaged archive; an unknown version or a password is a RuntimeError."""


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replace the file at `path` by `arrays`, all or nothing."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
    write_bytes(path, packed.getvalue())


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; raise FileFormatError where it is missing, damaged or holds objects."""
    place = Path(path)
    try:
        with place.open("rb") as file:
            # A lone .npy or a pickle is read by another branch of numpy; only archives are taken here.
            if not zipfile.is_zipfile(file):
                raise damaged(place, "it is no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise FileFormatError(f"'{place}' cannot be opened ({reason}); check the path") from fault
    except _FAULTS as fault:
        raise damaged(place, str(fault)) from fault
