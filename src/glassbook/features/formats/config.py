"""What other packages say beside their numbers: JSON of bounded size, whose every value is looked at before it is used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError
from glassbook.files.reading import damaged, shown

MOST_BYTES = 1 << 22
"""What a config may take; real ones take a few thousand bytes."""

_MOST_WHOLE = 2**31 - 1


def read_bounded(path: Path) -> bytes:
    """Return the bytes of a small file; raise FileFormatError where it is missing or larger than a config is."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise FileFormatError(f"'{path}' cannot be opened ({reason}); check the path") from fault
    if len(data) > MOST_BYTES:
        raise damaged(path, f"a config of more than {MOST_BYTES:,} bytes is none")
    return data


def read_config(path: Path) -> dict[str, Any]:
    """Return the JSON object of a config; raise FileFormatError for anything else."""
    try:
        return msgspec.json.decode(read_bounded(path), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as fault:
        raise damaged(path, f"it is no JSON object ({shown(fault)})") from fault


def section(path: Path, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object within a config, empty where it is missing; raise FileFormatError where it is something else."""
    found = config.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise damaged(path, f"'{name}' is no object but {shown(found)}")
    return found


def whole(path: Path, config: Mapping[str, Any], name: str) -> int:
    """Return a size that a config must have; raise FileFormatError unless it is a whole number from 1 on."""
    if name not in config:
        raise damaged(path, f"it lacks '{name}'")
    found = config[name]
    # Some packages write sizes as 64.0.
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if type(found) is not int or not 1 <= found <= _MOST_WHOLE:
        raise damaged(path, f"'{name}' is {shown(config[name])} and not a whole number from 1 on")
    return found


def text(config: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these values that is a text and not empty."""
    return next((found for name in names if isinstance(found := config.get(name), str) and found), None)


def flag(path: Path, config: Mapping[str, Any], name: str, default: bool) -> bool:
    """Return a value that is true or false; raise FileFormatError where it is something else."""
    found = config.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise damaged(path, f"'{name}' is {shown(found)} and not true or false")
    return found
