"""NumPy's `.npz` of a stranger: each array's header is read and held against its entry before any array is in memory."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from glassbook.features.formats.numbers import Numbers, Shape
from glassbook.features.formats.stored_zip import open_zip
from glassbook.files.reading import damaged, shown

_SUFFIX = ".npy"
_TIMES = 100
"""How much larger arrays may be than the archive; weights shrink by a fifth at most, arrays of zeros by more."""

_FLOATS = ("float16", "float32", "float64")


def npz_numbers(path: Path) -> Numbers:
    """Return the arrays of floats in an archive; raise FileFormatError where it is damaged or claims more than it can hold."""
    with open_zip(path, _TIMES) as archive:
        entries = {name.removesuffix(_SUFFIX): name for name in archive.namelist() if name.endswith(_SUFFIX)}
        shapes = {name: _shape(path, archive, entry) for name, entry in entries.items()}
    known = {name: shape for name, shape in shapes.items() if shape is not None}
    return Numbers(path, known, lambda name: _read(path, entries[name]))


def _shape(path: Path, archive: zipfile.ZipFile, entry: str) -> Shape | None:
    """Return an array's shape, or None where it holds no floats."""
    with archive.open(entry) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise damaged(path, f"'{shown(entry)}' is of version {version}")
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = reader(file)
        if dtype.name not in _FLOATS or not dtype.isnative:
            return None
        needs = file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
        has = archive.getinfo(entry).file_size
        if has != needs:
            raise damaged(path, f"'{shown(entry)}' has {has:,} bytes and its shape {shape} needs {needs:,}")
    return tuple(int(size) for size in shape)


def _read(path: Path, entry: str) -> Tensor:
    with open_zip(path, _TIMES) as archive, archive.open(entry) as file:
        return torch.from_numpy(np.ascontiguousarray(npy.read_array(file, allow_pickle=False)))
