"""Formats of other packages by name, and which of them a path holds, to judge by its files' names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glassbook.core.errors import InputError
from glassbook.core.registry import Registry
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats import (
    circuit_tracer,
    dictionary_learning,
    gemma_scope,
    saelens_reading,
    saelens_writing,
    sparsify,
)
from glassbook.features.formats.outcome import Exported, Imported

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Format:
    """How one package's files are known, read and written; some are only read."""

    files: str
    finds: Callable[[Path], bool]
    read: Callable[[Path], Imported]
    write: Callable[[Dictionary, Path], Exported] | None = None


FORMATS: Registry[Format] = Registry("format of dictionaries")
"""Every format of other packages by name."""

FORMATS.add(saelens_reading.NAME)(
    Format(
        f"{saelens_reading.CONFIG} and {saelens_reading.NUMBERS}",
        saelens_reading.finds,
        saelens_reading.read,
        saelens_writing.write,
    )
)
FORMATS.add(dictionary_learning.NAME)(
    Format(
        f"{dictionary_learning.CONFIG} and {dictionary_learning.NUMBERS}",
        dictionary_learning.finds,
        dictionary_learning.read,
        dictionary_learning.write,
    )
)
FORMATS.add(sparsify.NAME)(
    Format(f"{sparsify.CONFIG} and {sparsify.NUMBERS}", sparsify.finds, sparsify.read, sparsify.write)
)
FORMATS.add(gemma_scope.NAME)(Format(gemma_scope.NUMBERS, gemma_scope.finds, gemma_scope.read))
FORMATS.add(circuit_tracer.NAME)(
    Format(f"{circuit_tracer.CONFIG} and layer_N.safetensors", circuit_tracer.finds, circuit_tracer.read)
)


def find_format(path: str | Path) -> str | None:
    """Return the name of the format that a path holds, or None where it holds none of them."""
    return next((name for name in FORMATS if FORMATS.find(name).finds(Path(path))), None)


def import_dictionary(path: str | Path, format_name: str = AUTO) -> Imported:
    """Return the dictionary in another package's files, with what could not be carried; its facts keep what the files said.

    Raises InputError where no format is known by the files that are there, FileFormatError for files that are damaged.
    """
    place = Path(path)
    found = find_format(place) if format_name == AUTO else format_name
    if found is None:
        known = "; ".join(f"{name}: {FORMATS.find(name).files}" for name in FORMATS)
        raise InputError(f"'{place}' holds no dictionary of another package; known by their files are {known}")
    return FORMATS.find(found).read(place)


def list_parts(path: str | Path, format_name: str = AUTO) -> list[Path]:
    """Return the paths that each hold one dictionary: the layers of a set of transcoders, else the path itself."""
    place = Path(path)
    name = find_format(place) if format_name == AUTO else format_name
    return circuit_tracer.layers(place) if name == circuit_tracer.NAME and place.exists() else [place]


def export_dictionary(dictionary: Dictionary, out: str | Path, format_name: str) -> Exported:
    """Write a dictionary into a new folder in another package's format, and return what was written and not carried.

    Raises DictionaryError for a kind that the format has no word for, InputError for a format that is only read.
    """
    writers = {name: write for name in FORMATS if (write := FORMATS.find(name).write)}
    if format_name not in writers:
        raise InputError(f"no dictionary is written in the format '{format_name}'; choose {', '.join(writers)}")
    return writers[format_name](dictionary, Path(out))
