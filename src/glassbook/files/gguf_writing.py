"""Writing GGUF version 3: control vectors, and small models for tests."""

import math
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.files.atomic import atomic_file
from glassbook.files.gguf import DEFAULT_ALIGNMENT, MAGIC
from glassbook.files.gguf_values import ARRAY, NUMBERS, STRING
from glassbook.files.quants import LAYOUTS
from glassbook.files.safetensors import Content, write_content

_NUMBER_OF = {np.dtype(name): number for number, name in NUMBERS.items()}

GGUFContent = tuple[str, str, tuple[int, ...], Content | Iterable[Content]]


def write_gguf(path: str | Path, metadata: dict[str, Any], tensors: Iterable[GGUFContent]) -> None:
    """Write a GGUF file atomically from metadata and (name, kind, shape in numpy's order, content).

    A content is the tensor's stored bytes: float values for F32 and F16, whole blocks for the rest. A Python int is
    written as 32 bits where it fits, a float as float32; give a numpy scalar or array for another type. Raises
    InputError for what GGUF cannot hold.
    """
    entries = list(tensors)
    alignment = int(metadata.get("general.alignment", DEFAULT_ALIGNMENT))
    if alignment <= 0 or alignment % 8:
        raise InputError(f"'{path}' cannot be aligned to {alignment} bytes; choose a positive multiple of 8")
    header = bytearray(MAGIC + struct.pack("<IQQ", 3, len(entries), len(metadata)))
    for key, value in metadata.items():
        kind, data = _value(key, value)
        header += _string(key) + struct.pack("<I", kind) + data
    sizes, offset = [], 0
    for name, kind_name, shape, _ in entries:
        header += _table_row(name, kind_name, shape, offset)
        sizes.append(_nbytes(name, kind_name, shape))
        offset += sizes[-1] + -sizes[-1] % alignment
    header += bytes(-len(header) % alignment)
    with atomic_file(path) as file:
        file.write(header)
        for (name, _, _, content), size in zip(entries, sizes, strict=True):
            write_content(file, name, content, size)
            file.write(bytes(-size % alignment))


def _table_row(name: str, kind: str, shape: tuple[int, ...], offset: int) -> bytes:
    if kind not in LAYOUTS:
        raise InputError(f"tensor '{name}' cannot be written as {kind}; use one of {', '.join(LAYOUTS)}")
    axes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return _string(name) + axes + struct.pack("<IQ", LAYOUTS[kind].number, offset)


def _nbytes(name: str, kind: str, shape: tuple[int, ...]) -> int:
    layout = LAYOUTS[kind]
    if (shape[-1] if shape else 1) % layout.weights:
        raise InputError(f"tensor '{name}' has rows of {shape[-1]} weights; {kind} needs multiples of {layout.weights}")
    return math.prod(shape) // layout.weights * layout.nbytes


def _value(key: str, value: Any) -> tuple[int, bytes]:
    """Return GGUF's type number and bytes for one metadata value."""
    if isinstance(value, str):
        return STRING, _string(value)
    if isinstance(value, list | tuple | np.ndarray):
        return ARRAY, _array(key, value)
    number = _number(key, value)
    return _NUMBER_OF[number.dtype], number.tobytes()


def _number(key: str, value: Any) -> NDArray[Any]:
    if isinstance(value, np.generic):
        number = np.asarray(value)
    elif isinstance(value, bool):
        number = np.asarray(value, np.bool_)
    elif isinstance(value, float):
        number = np.asarray(value, np.float32)
    elif isinstance(value, int) and -(2**63) <= value < 2**64:
        number = np.asarray(value, _integer_type(value, value))
    else:
        raise InputError(f"metadata entry '{key}' of type {type(value).__name__} cannot be written to a GGUF file")
    return _little_endian(key, number)


def _array(key: str, value: Sequence[Any] | NDArray[Any]) -> bytes:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        numbers = _little_endian(key, value)
    elif len(value) and all(isinstance(item, str) for item in value):
        return struct.pack("<IQ", STRING, len(value)) + b"".join(_string(item) for item in value)
    else:
        singles = [_number(key, item) for item in value]
        integers = bool(singles) and all(single.dtype.kind in "iu" for single in singles)
        kind = _integer_type(min(value), max(value)) if integers else np.float32
        if singles and len({single.dtype.kind for single in singles}) == 1 and singles[0].dtype.kind == "b":
            kind = np.bool_
        numbers = _little_endian(key, np.asarray(value, kind))
    return struct.pack("<IQ", _NUMBER_OF[numbers.dtype], len(numbers)) + numbers.tobytes()


def _integer_type(smallest: int, largest: int) -> Any:
    """Return the first of int32's usual companions that holds both ends: uint32 for sizes, then wider ones."""
    for kind in (np.uint32, np.int32, np.int64):
        if np.iinfo(kind).min <= smallest and largest <= np.iinfo(kind).max:
            return kind
    return np.uint64


def _little_endian(key: str, numbers: NDArray[Any]) -> NDArray[Any]:
    turned = numbers.astype(numbers.dtype.newbyteorder("<"))
    if turned.dtype not in _NUMBER_OF:
        raise InputError(f"metadata entry '{key}' of type {numbers.dtype} cannot be written to a GGUF file")
    return turned


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
