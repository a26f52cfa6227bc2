"""What was measured of a dictionary, kept beside it: a file each, which knows of which weights it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError
from glassbook.features.cards.files import dictionary_beside
from glassbook.files.atomic import write_json

PROBING, ABSORPTION = "probing.json", "absorption.json"
_FORMATS = {PROBING: "glassbook-probing/1", ABSORPTION: "glassbook-absorption/1"}


def keep(folder: str | Path, file: str, found: Mapping[str, Any]) -> Path:
    """Write numbers beside the dictionary in a folder and return the file; raise InputError where there is none."""
    checksum, _ = dictionary_beside(Path(folder))
    path = Path(folder) / file
    write_json(path, {"format": _FORMATS[file], **found, "dictionary": checksum})
    return path


def open_kept(folder: str | Path, file: str) -> dict[str, Any]:
    """Return the numbers in such a file; raise FileFormatError where there is none, or one of other weights."""
    path, again = Path(folder) / file, f"measure it with glassbook features evaluate --{Path(file).stem}"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as fault:
        raise FileFormatError(f"'{folder}' holds no {file}; {again}") from fault
    except msgspec.MsgspecError as fault:
        raise FileFormatError(f"'{path}' is damaged ({fault}); {again}") from fault
    if found.get("format") != _FORMATS[file]:
        raise FileFormatError(f"'{path}' is none of ours ({_FORMATS[file]}); {again}")
    if found.get("dictionary") != dictionary_beside(Path(folder))[0]:
        raise FileFormatError(f"'{path}' is of other weights than the dictionary beside it; {again}")
    return found
