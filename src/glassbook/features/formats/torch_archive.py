"""Files of `torch.save`: a zip archive with an index and one entry for each storage, read without running anything."""

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.features.formats.numbers import Numbers
from glassbook.features.formats.stored_zip import open_zip
from glassbook.features.formats.torch_pickle import MOST_BYTES, View, tensors_of
from glassbook.files.reading import damaged, shown

_INDEX = "/data.pkl"
_ZIP = b"PK\x03\x04"


def torch_numbers(path: Path) -> tuple[Numbers, list[str]]:
    """Return the tensors of a dict that torch saved, and the names of what else is in it.

    Raises FileFormatError for a file that is damaged, that is no such dict, or whose index would run something.
    """
    _check_form(path)
    with open_zip(path) as archive:
        root = _root(path, archive)
        entry = archive.getinfo(root + _INDEX)
        if entry.file_size > MOST_BYTES:
            raise damaged(path, f"its index claims {entry.file_size:,} bytes, more than the {MOST_BYTES:,} of one")
        tensors, rest = tensors_of(path, archive.read(entry))
        if f"{root}/byteorder" in archive.namelist() and archive.read(f"{root}/byteorder") != b"little":
            raise FileFormatError(f"'{path}' was saved on a big-endian machine; save it again on another")
        for name, view in tensors.items():
            _check_entry(path, archive, root, name, view)
    shapes = {name: view.shape for name, view in tensors.items()}
    return Numbers(path, shapes, lambda name: _read(path, root, tensors[name])), rest


def _check_form(path: Path) -> None:
    """Raise FileFormatError for a file that is missing, or was saved by a torch of before archives."""
    try:
        with path.open("rb") as file:
            first = file.read(len(_ZIP))
    except OSError as fault:
        raise FileFormatError(
            f"'{path}' cannot be opened ({(fault.strerror or str(fault)).lower()}); check the path"
        ) from fault
    if first != _ZIP:
        raise FileFormatError(
            f"'{path}' is no archive of torch; if a torch before 1.6 saved it, open it there and save its tensors again"
        )


def _root(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the folder in the archive that all lies in."""
    found = [name.removesuffix(_INDEX) for name in archive.namelist() if name.endswith(_INDEX)]
    if len(found) != 1 or "/" in found[0]:
        raise damaged(path, "it has no index of its tensors, or several")
    return found[0]


def _check_entry(path: Path, archive: zipfile.ZipFile, root: str, name: str, view: View) -> None:
    """Raise FileFormatError unless a tensor's storage is there, as large as the index says."""
    place = f"{root}/data/{view.stored.key}"
    if place not in archive.namelist():
        raise damaged(path, f"the numbers of '{shown(name)}' are not there")
    has, needs = archive.getinfo(place).file_size, view.stored.count * view.stored.dtype.itemsize
    if has != needs:
        raise damaged(path, f"the numbers of '{shown(name)}' take {has:,} bytes and should take {needs:,}")


def _read(path: Path, root: str, view: View) -> Tensor:
    if not all(view.shape):
        return torch.empty(view.shape, dtype=view.stored.dtype)
    with open_zip(path) as archive:
        data = bytearray(archive.read(f"{root}/data/{view.stored.key}"))
    flat = torch.frombuffer(data, dtype=view.stored.dtype)
    return flat.as_strided(view.shape, view.strides, view.offset).clone(memory_format=torch.contiguous_format)
