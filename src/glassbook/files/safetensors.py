"""The safetensors container: a length, a JSON header, then the tensors' bytes without holes.

Ours and not the library's because reading is bounded here: every number of the header is checked before anything of
its size is allocated, and bytes go straight into the caller's memory, so that a weight is never resident twice.
Layout: https://github.com/huggingface/safetensors#format
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.atomic import atomic_file
from glassbook.files.reading import ContainerFile, damaged, shown

STORED_AS: dict[str, str] = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
    "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1",
}  # fmt: skip
"""The numpy type that holds each dtype's bytes; BF16 and the F8 have none of their own and come as integers."""

Content = bytes | bytearray | memoryview | NDArray[Any]

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000
_MOST_AXES = 64
_LARGEST = 2**63 - 1
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file: `start` and `stop` are byte positions within the data part."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Return the tensor's size in bytes."""
        return self.stop - self.start


class SafetensorsFile(ContainerFile):
    """An open safetensors file whose header has been checked in full; use it in a `with` block."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        try:
            length = self._header_length()
            header = bytearray(length)
            self.fill(header, _LENGTH_BYTES)
            self._data_start = _LENGTH_BYTES + length
            self.metadata, self.tensors = _parse(self.path, bytes(header), self.size - self._data_start)
        except BaseException:
            self.close()
            raise

    def read_into(self, info: TensorInfo, buffer: memoryview, offset: int = 0, nbytes: int | None = None) -> None:
        """Read `nbytes` of a tensor (default: the rest), from byte `offset` of it on, into `buffer`.

        Raises InputError when the span leaves the tensor or differs in size from `buffer`.
        """
        wanted = info.nbytes - offset if nbytes is None else nbytes
        if offset < 0 or wanted < 0 or offset + wanted > info.nbytes or buffer.nbytes != wanted:
            raise InputError(
                f"bytes {offset:,} to {offset + wanted:,} of tensor '{info.name}' ({info.nbytes:,} bytes) do not fill "
                f"a buffer of {buffer.nbytes:,}; ask for a span inside the tensor and of the buffer's size"
            )
        if wanted:
            self.fill(buffer, self._data_start + info.start + offset)

    def read(self, info: TensorInfo) -> NDArray[Any]:
        """Return a tensor in a new array, its bytes unchanged: BF16 comes as uint16, the F8 types as uint8."""
        array = np.empty(info.shape, STORED_AS[info.dtype])
        if array.nbytes:
            self.read_into(info, array.reshape(-1).view(np.uint8).data)
        return array

    def _header_length(self) -> int:
        if self.size < _LENGTH_BYTES:
            raise damaged(self.path, f"{self.size} bytes are too few for a safetensors file")
        first = bytearray(_LENGTH_BYTES)
        self.fill(first, 0)
        length = int.from_bytes(first, "little")
        if length > _LONGEST_HEADER:
            raise damaged(self.path, f"its header claims {length:,} bytes, more than the {_LONGEST_HEADER:,} allowed")
        if length > self.size - _LENGTH_BYTES:
            raise damaged(self.path, f"its header claims {length:,} bytes, the file has {self.size:,}")
        return length


def open_safetensors(path: str | Path) -> SafetensorsFile:
    """Return an open safetensors file, its header checked in full; raise FileFormatError for any fault."""
    return SafetensorsFile(path)


def write_safetensors(
    path: str | Path,
    tensors: Iterable[tuple[str, str, tuple[int, ...], Content | Iterable[Content]]],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a safetensors file atomically from (name, dtype, shape, content) in the given order.

    A content is one buffer, or an iterable of buffers that is read when its turn comes: with lazy contents no more
    than one tensor is in memory. Raises InputError when a content and its shape disagree.
    """
    entries = list(tensors)
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, dtype, shape, _ in entries:
        if name in header or name == "__metadata__" or dtype not in STORED_AS:
            raise InputError(
                f"tensor '{name}' of dtype {dtype} cannot be written: its name is taken or its dtype unknown"
            )
        start, end = end, end + math.prod(shape) * np.dtype(STORED_AS[dtype]).itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    with atomic_file(path) as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for name, _, _, content in entries:
            start, stop = header[name]["data_offsets"]
            write_content(file, name, content, stop - start)


def write_content(file: BinaryIO, name: str, content: Content | Iterable[Content], nbytes: int) -> None:
    """Write one tensor's buffers; raise InputError unless they come to `nbytes`."""
    pieces = [content] if isinstance(content, bytes | bytearray | memoryview | np.ndarray) else content
    written = 0
    for piece in pieces:
        data = np.ascontiguousarray(piece).data if isinstance(piece, np.ndarray) else memoryview(piece)
        written += data.nbytes
        if written <= nbytes and data.nbytes:
            file.write(data)
    if written != nbytes:
        raise InputError(f"tensor '{name}' was given {written:,} bytes and its shape needs {nbytes:,}; check both")


def _parse(path: Path, text: bytes, data_size: int) -> tuple[dict[str, str], dict[str, TensorInfo]]:
    header = _json_object(path, text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged(path, "its __metadata__ is no map from text to text")
    tensors = {name: _entry(path, name, entry) for name, entry in header.items()}
    _check_tiling(path, tensors, data_size)
    return metadata, tensors


def _json_object(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise damaged(path, "its header names one thing twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    if not text.startswith(b"{"):
        raise damaged(path, "its header does not begin with '{'")
    try:
        header = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as fault:
        raise damaged(path, f"its header is no valid JSON ({shown(fault)})") from fault
    return header


def _entry(path: Path, name: str, entry: object) -> TensorInfo:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"the entry of tensor '{shown(name)}' is not dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORED_AS:
        raise FileFormatError(
            f"'{path}': tensor '{shown(name)}' has the dtype {shown(dtype)}, which cannot be read here; "
            f"convert it to one of {', '.join(STORED_AS)}"
        )
    if not _sizes(shape) or len(shape) > _MOST_AXES:
        raise damaged(path, f"the shape of tensor '{shown(name)}' is not a short list of sizes")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise damaged(path, f"the data_offsets of tensor '{shown(name)}' are not a start and a later end")
    needed = math.prod(shape) * np.dtype(STORED_AS[dtype]).itemsize
    if needed != offsets[1] - offsets[0]:
        raise damaged(path, f"tensor '{shown(name)}' needs {needed:,} bytes and is given {offsets[1] - offsets[0]:,}")
    return TensorInfo(name, dtype, tuple(shape), *offsets)


def _sizes(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= _LARGEST for value in values)


def _check_tiling(path: Path, tensors: dict[str, TensorInfo], data_size: int) -> None:
    """Raise FileFormatError unless the tensors cover the data part exactly, without overlap or hole."""
    end = 0
    for info in sorted(tensors.values(), key=lambda info: (info.start, info.stop)):
        if info.start != end:
            what = "overlaps the tensor before it" if info.start < end else "leaves a hole before it"
            raise damaged(path, f"tensor '{shown(info.name)}' {what}")
        end = info.stop
    if end != data_size:
        raise damaged(path, f"its tensors take {end:,} bytes and the file holds {data_size:,}")
