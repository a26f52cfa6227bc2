"""The typed values of a GGUF header, read one after the other with every count checked against the file's size."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from glassbook.core.errors import FileFormatError
from glassbook.files.reading import ContainerFile, damaged

NUMBERS: dict[int, str] = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"
}  # fmt: skip
"""GGUF's numbers for its value types, as numpy types."""
STRING, ARRAY, BOOL = 8, 9, 7

_DEEPEST = 4
_WINDOW = 1 << 22
_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")


class HeaderReader:
    """A cursor over the start of a file that fetches only what the header really needs."""

    def __init__(self, file: ContainerFile) -> None:
        self._file = file
        self._bytes = bytearray()
        self.position = 0

    @property
    def path(self) -> Path:
        """Return the path of the file that is read."""
        return self._file.path

    @property
    def left(self) -> int:
        """Return how many bytes of the file lie behind the cursor."""
        return self._file.size - self.position

    def take(self, count: int, what: str) -> bytes:
        """Return the next `count` bytes; raise FileFormatError when the file does not have them."""
        self._need(count, what)
        start, self.position = self.position, self.position + count
        return bytes(memoryview(self._bytes)[start : self.position])

    def u32(self, what: str) -> int:
        """Return the next unsigned 32-bit number."""
        return int(_U32.unpack(self.take(4, what))[0])

    def u64(self, what: str) -> int:
        """Return the next unsigned 64-bit number."""
        return int(_U64.unpack(self.take(8, what))[0])

    def count(self, smallest: int, what: str) -> int:
        """Return the next count of things of at least `smallest` bytes; FileFormatError when they cannot fit."""
        count = self.u64(what)
        if count * smallest > self.left:
            raise damaged(self.path, f"it claims {count:,} {what}, more than its {self._file.size:,} bytes can hold")
        return count

    def string(self, what: str) -> str:
        """Return the next string (a length and UTF-8)."""
        data = self.take(self.count(1, f"bytes in {what}"), what)
        try:
            return data.decode()
        except UnicodeDecodeError as fault:
            raise self._not_utf8(what) from fault

    def value(self, kind: int, what: str, depth: int = 0) -> Any:
        """Return the next value of GGUF type `kind`: a Python scalar, a list of strings or lists, or a numpy array."""
        if kind == STRING:
            return self.string(what)
        if kind == ARRAY:
            return self._array(what, depth + 1)
        if kind not in NUMBERS:
            raise damaged(self.path, f"{what} has the value type {kind}, which GGUF does not define")
        dtype = np.dtype(NUMBERS[kind])
        data = self.take(dtype.itemsize, what)
        self._check_booleans(kind, data, what)
        return np.frombuffer(data, dtype)[0].item()

    def _array(self, what: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise damaged(self.path, f"{what} nests arrays more than {_DEEPEST} deep")
        kind = self.u32(what)
        if kind in NUMBERS:
            dtype = np.dtype(NUMBERS[kind])
            data = self.take(self.count(dtype.itemsize, f"values in {what}") * dtype.itemsize, what)
            self._check_booleans(kind, data, what)
            return np.frombuffer(data, dtype)
        if kind == STRING:
            return self._strings(self.count(8, f"strings in {what}"), what)
        count = self.count(12, f"arrays in {what}")
        return [self.value(kind, what, depth) for _ in range(count)]

    def _strings(self, count: int, what: str) -> list[str]:
        """Return `count` strings; written out in one loop because vocabularies have 10^5 of them."""
        strings: list[str] = []
        position, have, unpack = self.position, len(self._bytes), _U64.unpack_from
        try:
            for _ in range(count):
                if position + 8 > have:
                    have = self._refill(position, 8, what)
                start = position + 8
                position = start + unpack(self._bytes, position)[0]
                if position > have:
                    have = self._refill(start, position - start, what)
                strings.append(self._bytes[start:position].decode())
        except UnicodeDecodeError as fault:
            raise self._not_utf8(what) from fault
        self.position = position
        return strings

    def _refill(self, position: int, count: int, what: str) -> int:
        self.position = position
        self._need(count, what)
        return len(self._bytes)

    def _need(self, count: int, what: str) -> None:
        if count > self.left:
            raise damaged(self.path, f"it ends inside {what}: {count:,} bytes are needed and {self.left:,} are left")
        missing = self.position + count - len(self._bytes)
        if missing > 0:
            have = len(self._bytes)
            grown = min(self._file.size, have + max(missing, _WINDOW, have // 2))
            self._bytes.extend(bytes(grown - have))
            with memoryview(self._bytes) as view:
                self._file.fill(view[have:], have)

    def _not_utf8(self, what: str) -> FileFormatError:
        return damaged(self.path, f"{what} is no valid UTF-8")

    def _check_booleans(self, kind: int, data: bytes, what: str) -> None:
        if kind == BOOL and max(data, default=0) > 1:
            raise damaged(self.path, f"{what} is a truth value of {max(data)}")
