"""Dictionaries by name: those that ship with the package, and folders; and the small model that some of them are of."""

from pathlib import Path

import torch

from glassbook.core.devices import as_dtype
from glassbook.core.errors import InputError
from glassbook.features.belonging import trained_on, weights_named
from glassbook.features.dictionary import Dictionary
from glassbook.features.files import is_dictionary, load_dictionary, read_facts
from glassbook.features.formats.finding import find_format, import_dictionary

_SHIPPED = Path(__file__).parent / "data"
_MODEL = "model"


def open_dictionary(source: str | Path, dtype: str | torch.dtype = "float32") -> Dictionary:
    """Return the dictionary of a known name, such as `smollm2-135m/L15.resid_post`, or in a folder, of ours or another package's.

    Raises InputError for a name that is neither, FileFormatError for a folder that is damaged.
    """
    if (ours := _ours(source)) is not None:
        return load_dictionary(ours, dtype)
    if find_format(source) is not None:
        return import_dictionary(source).dictionary.to(as_dtype(dtype))
    raise InputError(_unknown(source))


def dictionary_folder(source: str | Path) -> Path:
    """Return the folder that a known name, or a path, means: cards lie in it too; raise InputError where there is none."""
    if (ours := _ours(source)) is not None:
        return ours
    raise InputError(_unknown(source))


def list_dictionaries() -> list[str]:
    """Return the names of the dictionaries that ship with the package."""
    found = (path.parent for path in _SHIPPED.glob("*/*/dictionary.json"))
    return sorted(path.relative_to(_SHIPPED).as_posix() for path in found)


def list_models() -> list[str]:
    """Return the names of the models that ship with the package, which the command line opens by name."""
    return sorted(path.parent.parent.name for path in _SHIPPED.glob(f"*/{_MODEL}/config.json"))


def shipped_model(name: str = "bookworm") -> Path:
    """Return the folder of a model that ships with the package, for `open_model`; raise InputError for an unknown name."""
    if name not in list_models():
        raise InputError(f"no model '{name}' ships with the package; known names: {', '.join(list_models()) or 'none'}")
    return _SHIPPED / name / _MODEL


def known_model(dictionary: Dictionary) -> str | None:
    """Return the known name of the model that a dictionary was trained on, in whatever precision; None for any other model."""
    lineages = {weights_named(read_facts(_SHIPPED / name)).lineage: name for name in list_dictionaries()}
    lineage = trained_on(dictionary).lineage
    return lineages[lineage].partition("/")[0] if lineage in lineages else None


def _ours(source: str | Path) -> Path | None:
    return next((path for path in (Path(source), _SHIPPED / source) if is_dictionary(path)), None)


def _unknown(source: str | Path) -> str:
    known = list_dictionaries()
    named = f"known names: {', '.join(known)}" if known else "no dictionary ships with this version"
    return f"'{source}' is no folder with a dictionary and no known name; {named}"
