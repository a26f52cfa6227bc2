"""Dictionaries by name: those that ship with the package, and folders."""

from pathlib import Path

import torch

from glassbook.core.errors import InputError
from glassbook.features.dictionary import Dictionary
from glassbook.features.files import is_dictionary, load_dictionary

_SHIPPED = Path(__file__).parent / "data"


def open_dictionary(source: str | Path, dtype: str | torch.dtype = "float32") -> Dictionary:
    """Return the dictionary of a known name, such as `smollm2-135m/L15.resid_post`, or in a folder.

    Raises InputError for a name that is neither, FileFormatError for a folder that is damaged.
    """
    for path in (Path(source), _SHIPPED / source):
        if is_dictionary(path):
            return load_dictionary(path, dtype)
    known = list_dictionaries()
    named = f"known names: {', '.join(known)}" if known else "no dictionary ships with this version"
    raise InputError(f"'{source}' is no folder with a dictionary and no known name; {named}")


def list_dictionaries() -> list[str]:
    """Return the names of the dictionaries that ship with the package."""
    found = (path.parent for path in _SHIPPED.glob("*/*/dictionary.json"))
    return sorted(path.relative_to(_SHIPPED).as_posix() for path in found)
