"""The GGUF container, versions 2 and 3, little endian: metadata, tensor table, aligned tensor data.

Ours because every number of the header is checked before anything of its size is allocated, and because weights become
float32 a stretch of rows at a time. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files import quants
from glassbook.files.gguf_values import HeaderReader
from glassbook.files.reading import ContainerFile, damaged, shown

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32

_VERSIONS = (2, 3)
_MOST_AXES = 4
_LARGEST = 2**63 - 1
_SMALLEST_PAIR = 8 + 4 + 1
_SMALLEST_TENSOR = 8 + 4 + 4 + 8
_BYTES_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class GGUFTensor:
    """One tensor of a file: its GGML kind, its shape in numpy's order, and where in the file its bytes are."""

    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    @property
    def row(self) -> int:
        """Return the length of the last axis, along which weights share blocks."""
        return self.shape[-1] if self.shape else 1

    @property
    def n_rows(self) -> int:
        """Return the number of rows: the product of all axes but the last."""
        return math.prod(self.shape[:-1])

    @property
    def row_bytes(self) -> int:
        """Return the bytes that one row takes in the file."""
        layout = quants.LAYOUTS[self.kind]
        return self.row // layout.weights * layout.nbytes


class GGUFFile(ContainerFile):
    """An open GGUF file whose header has been checked in full; use it in a `with` block.

    In `metadata`, numbers, truth values and texts are Python's own, arrays of texts are lists, arrays of numbers are
    numpy arrays.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        try:
            reader = HeaderReader(self)
            n_tensors, n_pairs = _opening(reader)
            self.metadata = _metadata(reader, n_pairs)
            self.tensors = _tensors(reader, n_tensors, _alignment(reader, self.metadata), self.size)
        except BaseException:
            self.close()
            raise

    def read_raw(self, tensor: GGUFTensor, first_row: int = 0, n_rows: int | None = None) -> NDArray[np.uint8]:
        """Return the stored bytes of some rows (default: all from `first_row` on), one row a line."""
        n_rows = tensor.n_rows - first_row if n_rows is None else n_rows
        _check_rows(tensor, first_row, n_rows)
        raw = np.empty((n_rows, tensor.row_bytes), np.uint8)
        if raw.size:
            self.fill(raw.reshape(-1).data, tensor.offset + first_row * tensor.row_bytes)
        return raw

    def dequantize(
        self, tensor: GGUFTensor, out: NDArray[np.float32] | None = None, first_row: int = 0, n_rows: int | None = None
    ) -> NDArray[np.float32]:
        """Return rows of a tensor as float32, in its shape when all rows are asked for, else as (n_rows, row).

        Beyond the result, written to the contiguous `out` if given, 4 MiB are held. Raises InputError for rows that
        are not there or an `out` of another size.
        """
        whole = first_row == 0 and n_rows in (None, tensor.n_rows)
        n_rows = tensor.n_rows - first_row if n_rows is None else n_rows
        _check_rows(tensor, first_row, n_rows)
        shape = tensor.shape if whole else (n_rows, tensor.row)
        if out is None:
            out = np.empty(shape, np.float32)
        if out.size != n_rows * tensor.row or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise InputError(
                f"tensor '{tensor.name}' needs a contiguous float32 array of {shape}; {out.dtype} {out.shape} was given"
            )
        # Rows are whole blocks and lie one behind the other, so the span is one stream of blocks.
        self._decode(tensor.kind, tensor.offset + first_row * tensor.row_bytes, out.reshape(-1))
        return out

    def _decode(self, kind: str, position: int, flat: NDArray[np.float32]) -> None:
        layout = quants.LAYOUTS[kind]
        step = max(1, _BYTES_AT_ONCE // layout.nbytes)
        n_blocks = flat.size // layout.weights
        scratch = bytearray(min(step, n_blocks) * layout.nbytes)
        for first in range(0, n_blocks, step):
            count = min(step, n_blocks - first)
            with memoryview(scratch) as view, view[: count * layout.nbytes] as part:
                self.fill(part, position + first * layout.nbytes)
            data = np.frombuffer(scratch, np.uint8, count * layout.nbytes)
            quants.dequantize(kind, data, flat[first * layout.weights : (first + count) * layout.weights])


def open_gguf(path: str | Path) -> GGUFFile:
    """Return an open GGUF file, its header checked in full; raise FileFormatError for any fault."""
    return GGUFFile(path)


def _check_rows(tensor: GGUFTensor, first_row: int, n_rows: int) -> None:
    if first_row < 0 or n_rows < 0 or first_row + n_rows > tensor.n_rows:
        raise InputError(
            f"tensor '{tensor.name}' has no rows {first_row} to {first_row + n_rows - 1}; "
            f"its rows run from 0 to {tensor.n_rows - 1}"
        )


def _opening(reader: HeaderReader) -> tuple[int, int]:
    """Return the number of tensors and of metadata pairs, after magic and version."""
    path = reader.path
    if reader.take(4, "its first bytes") != MAGIC:
        raise FileFormatError(f"'{path}' does not begin with 'GGUF', so it is no GGUF file; check the path")
    version = reader.u32("its version")
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        if swapped in _VERSIONS:
            raise FileFormatError(f"'{path}' is a big-endian GGUF, which is not read here; convert it to little endian")
        raise FileFormatError(f"'{path}' is GGUF version {version}, and versions 2 and 3 are read here; convert it")
    n_tensors = reader.count(_SMALLEST_TENSOR, "tensors")
    return n_tensors, reader.count(_SMALLEST_PAIR, "metadata entries")


def _metadata(reader: HeaderReader, n_pairs: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for index in range(n_pairs):
        key = reader.string(f"the key of metadata entry {index}")
        if key in metadata:
            raise damaged(reader.path, f"its metadata has '{shown(key)}' twice")
        what = f"metadata entry '{shown(key)}'"
        metadata[key] = reader.value(reader.u32(what), what)
    return metadata


def _alignment(reader: HeaderReader, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment <= 0 or alignment % 8:
        raise damaged(reader.path, f"its alignment is {shown(alignment)}, not a positive multiple of 8")
    return alignment


def _tensors(reader: HeaderReader, n_tensors: int, alignment: int, file_size: int) -> dict[str, GGUFTensor]:
    found: dict[str, GGUFTensor] = {}
    for index in range(n_tensors):
        tensor = _tensor(reader, index, alignment)
        if tensor.name in found:
            raise damaged(reader.path, f"it lists tensor '{shown(tensor.name)}' twice")
        found[tensor.name] = tensor
    data_start = reader.position + -reader.position % alignment
    placed = {
        name: GGUFTensor(name, tensor.kind, tensor.shape, data_start + tensor.offset, tensor.nbytes)
        for name, tensor in found.items()
    }
    _check_places(reader.path, placed, file_size)
    return placed


def _tensor(reader: HeaderReader, index: int, alignment: int) -> GGUFTensor:
    """Return one row of the tensor table, its offset still counted from the data part's start."""
    name = sys.intern(reader.string(f"the name of tensor {index}"))
    what = f"tensor '{shown(name)}'"
    n_axes = reader.u32(what)
    if n_axes > _MOST_AXES:
        raise damaged(reader.path, f"{what} has {n_axes:,} axes; GGUF allows {_MOST_AXES}")
    axes = [reader.u64(what) for _ in range(n_axes)]
    kind = _kind(reader, what)
    offset = reader.u64(what)
    layout = quants.LAYOUTS[kind]
    # Zero axes must not hide an overflow of the others: numpy multiplies them in 64 bits.
    if math.prod(max(axis, 1) for axis in axes) > _LARGEST:
        raise damaged(reader.path, f"{what} has more weights than can be counted")
    row = axes[0] if axes else 1
    if row % layout.weights:
        raise damaged(reader.path, f"{what} has rows of {row:,} weights, no whole number of {kind} blocks")
    if offset % alignment:
        raise damaged(reader.path, f"{what} begins at {offset:,}, which the alignment of {alignment} does not allow")
    nbytes = math.prod(axes) // layout.weights * layout.nbytes
    return GGUFTensor(name, kind, tuple(reversed(axes)), offset, nbytes)


def _kind(reader: HeaderReader, what: str) -> str:
    number = reader.u32(what)
    kind = quants.known_kind(number)
    if kind is None:
        name = quants.OTHER_KINDS.get(number, f"type number {number}")
        raise FileFormatError(
            f"'{reader.path}': {what} is stored as {name}, which is not read here; "
            f"use a file in one of {', '.join(quants.LAYOUTS)}"
        )
    return kind


def _check_places(path: Path, tensors: dict[str, GGUFTensor], file_size: int) -> None:
    """Raise FileFormatError when a tensor's bytes leave the file or belong to another tensor as well."""
    end = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.offset, tensor.nbytes)):
        beyond = tensor.offset + tensor.nbytes - file_size
        if beyond > 0:
            raise damaged(path, f"tensor '{shown(tensor.name)}' ends {beyond:,} bytes behind the file's end")
        if tensor.offset < end:
            raise damaged(path, f"tensor '{shown(tensor.name)}' overlaps the tensor before it")
        end = tensor.offset + tensor.nbytes
