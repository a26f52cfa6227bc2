"""Stored tensors as torch sees them: who reads them, and how a piece of one gets into a parameter."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from glassbook.core.devices import dtype_name
from glassbook.core.errors import ModelError
from glassbook.files.gguf import GGUFFile
from glassbook.files.safetensors import SafetensorsFile, TensorInfo

# Small enough to stay in the second-level cache between reading, converting and checking; where torch converts, also
# small enough that it does so on one thread, for waking the others costs more than the work.
_DIRECT_NUMBERS, _CONVERTED_NUMBERS = 1 << 18, 1 << 15
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_EXPONENTS = {
    torch.float64: (np.uint64, 0x7FF << 52),
    torch.float32: (np.uint32, 0xFF << 23),
    torch.bfloat16: (np.uint16, 0xFF << 7),
    torch.float16: (np.uint16, 0x1F << 10),
}


@runtime_checkable
class WeightReader(Protocol):
    """A source of stored tensors; `path` is what an error names."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]

    def dtype(self, name: str) -> torch.dtype:
        """Return the precision in which `read` gives a tensor."""

    def read(self, name: str, first_row: int, out: Tensor) -> None:
        """Fill the contiguous `out`, on the CPU and of that precision, with rows from `first_row` on."""

    def close(self) -> None:
        """Close the files."""


class SafetensorsReader:
    """The tensors of one safetensors file or of several that make up one model."""

    def __init__(self, path: Path, files: list[SafetensorsFile]) -> None:
        self.path = path
        self.files = files
        self._places: dict[str, tuple[SafetensorsFile, TensorInfo]] = {}
        for file in files:
            for name, info in file.tensors.items():
                if name in self._places:
                    raise ModelError(f"'{path}' holds tensor '{name}' in two of its files; fetch the model again")
                self._places[name] = (file, info)
        self.shapes: Mapping[str, tuple[int, ...]] = {name: info.shape for name, (_, info) in self._places.items()}

    def dtype(self, name: str) -> torch.dtype:
        """Return the precision of a tensor; raise ModelError where it is no floating-point number."""
        file, info = self._places[name]
        if info.dtype not in _DTYPES:
            raise ModelError(
                f"'{file.path}': tensor '{name}' is stored as {info.dtype}, and weights are read from "
                f"{', '.join(_DTYPES)}; open a version of the model that is not quantized"
            )
        return _DTYPES[info.dtype]

    def read(self, name: str, first_row: int, out: Tensor) -> None:
        """Fill `out` with rows from `first_row` on; the rows of matrices that lie stacked are counted through."""
        file, info = self._places[name]
        row_bytes = info.nbytes // (math.prod(info.shape[: max(1, len(info.shape) - 1)]) or 1)
        buffer = out.view(-1).view(torch.uint8).numpy().data
        file.read_into(info, buffer, first_row * row_bytes, buffer.nbytes)

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()


class GGUFReader:
    """The tensors of a GGUF file, dequantized to float32 as they are read."""

    def __init__(self, file: GGUFFile) -> None:
        self.path = file.path
        self.shapes: Mapping[str, tuple[int, ...]] = {name: tensor.shape for name, tensor in file.tensors.items()}
        self._file = file

    def dtype(self, name: str) -> torch.dtype:
        """Return float32."""
        return torch.float32

    def read(self, name: str, first_row: int, out: Tensor) -> None:
        """Fill `out` with rows from `first_row` on."""
        tensor = self._file.tensors[name]
        self._file.dequantize(tensor, out.numpy(), first_row, out.numel() // tensor.row)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `first` to `first + count` of a parameter, and the stored tensor (of `shape`) that fills them.

    Of stacked matrices, `skip` rows lie before the one that is meant.
    """

    tensor: str
    first: int
    count: int
    shape: tuple[int, ...]
    stored: str = "as is"
    skip: int = 0

    @property
    def stored_rows(self) -> int:
        """Return how many rows of the stored tensor fill the piece."""
        return self.shape[-2] if len(self.shape) > 1 else self.shape[0]


def _rotary_pairs(part: Tensor, d_head: int) -> Tensor:
    # llama.cpp turns dimensions 2i and 2i + 1 together, this house i and i + d_head / 2: its rows are ours, shuffled.
    return part.unflatten(0, (-1, 2, d_head // 2)).transpose(1, 2)


def _head_by_head(part: Tensor, d_head: int) -> Tensor:
    # GPT-NeoX keeps the queries, keys and values of each head together, this house all queries, then all keys.
    return part.unflatten(0, (3, -1, d_head)).transpose(0, 1)


# For each way to store a matrix: the view of our rows whose elements come in the stored order.
ARRANGEMENTS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "as is": lambda part, _: part,
    "transposed": lambda part, _: part.T,
    "rotary pairs": _rotary_pairs,
    "head by head": _head_by_head,
    # llama.cpp's files of Gemma hold what its norms multiply by, 1 + weight.
    "one more": lambda part, _: part,
}


class Filler:
    """Fills parameters through one small buffer, converting the precision and looking for NaN on the way."""

    def __init__(self, reader: WeightReader, d_head: int) -> None:
        self.reader = reader
        self.d_head = d_head
        self._buffer = torch.empty(0, dtype=torch.uint8)

    def fill(self, parameter: Tensor, pieces: list[Piece]) -> None:
        """Fill `parameter` from its pieces; raise ModelError naming a tensor with NaN or beyond the precision."""
        for piece in pieces:
            self._fill_part(parameter.narrow(0, piece.first, piece.count), piece)

    def _fill_part(self, part: Tensor, piece: Piece) -> None:
        dtype = self.reader.dtype(piece.tensor)
        view = ARRANGEMENTS[piece.stored](part, self.d_head)
        is_direct = piece.stored == "as is" and dtype == part.dtype and part.device.type == "cpu"
        stored_rows = piece.stored_rows // len(view)
        step = _rows_at_once(view, _DIRECT_NUMBERS if is_direct else _CONVERTED_NUMBERS)
        for first in range(0, len(view), step):
            target = view[first : first + step]
            chunk = target if is_direct else self._chunk(dtype, target.shape)
            self.reader.read(piece.tensor, piece.skip + first * stored_rows, chunk)
            if piece.stored == "one more":
                chunk -= 1
            converted = chunk.to(part.dtype)
            self._check(piece.tensor, converted, chunk)
            if not is_direct:
                target.copy_(converted)

    def _chunk(self, dtype: torch.dtype, shape: torch.Size) -> Tensor:
        nbytes = shape.numel() * dtype.itemsize
        if nbytes > len(self._buffer):
            self._buffer = torch.empty(nbytes, dtype=torch.uint8)
        return self._buffer[:nbytes].view(dtype).view(shape)

    def _check(self, name: str, converted: Tensor, chunk: Tensor) -> None:
        if is_finite(converted):
            return
        if is_finite(chunk):
            raise ModelError(
                f"'{self.reader.path}': tensor '{name}' holds numbers beyond {dtype_name(converted.dtype)}; "
                "open it in float32"
            )
        raise ModelError(f"'{self.reader.path}': tensor '{name}' holds NaN or infinity; fetch the model again")


def is_finite(values: Tensor) -> bool:
    """Return whether no value of a contiguous CPU tensor is NaN or infinite: those have all exponent bits set."""
    unsigned, mask = _EXPONENTS[values.dtype]
    bits = values.view(-1).view(torch.uint8).numpy().view(unsigned)
    return not bits.size or int((bits & unsigned(mask)).max()) != mask


def _rows_at_once(view: Tensor, numbers: int) -> int:
    # Vectors are read whole: in GGUF, where blocks run along the last axis, a vector is one row.
    return len(view) if view.ndim == 1 else max(1, numbers // view[0].numel())
