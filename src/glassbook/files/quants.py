"""GGML's block formats: how many weights share a scale, and how a block becomes float32.

Every routine does the reference's float operations in the reference's order, so the results are equal bit for bit.
Names in the blocks: d and m are scale and minimum (float16), q the small integers, h their high bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Decode = Callable[[Bytes, Floats], None]

SUPER_BLOCK = 256
_WEIGHTS_AT_ONCE = 1 << 16  # blocks, scratch and result of one step stay in the second-level cache


@dataclass(frozen=True, slots=True)
class Layout:
    """One block format: GGML's number for it, weights and bytes in a block, and its decoder."""

    number: int
    weights: int
    nbytes: int
    decode: Decode


def dequantize(kind: str, data: bytes | bytearray | memoryview | Bytes, out: Floats | None = None) -> Floats:
    """Return the float32 weights that whole blocks of `kind` stand for, written to the flat array `out` if given.

    Raises InputError when `data` is no whole number of blocks or `out` has another size.
    """
    layout = LAYOUTS[kind]
    flat: Bytes = np.frombuffer(data, np.uint8)
    n_blocks, rest = divmod(flat.size, layout.nbytes)
    size = n_blocks * layout.weights
    if out is None:
        out = np.empty(size, np.float32)
    if rest or out.size != size or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise InputError(
            f"{flat.size:,} bytes are {size:,} {kind} weights and {rest} bytes over; give whole blocks and their room"
        )
    blocks, weights = flat.reshape(n_blocks, layout.nbytes), out.reshape(n_blocks, layout.weights)
    step = max(1, _WEIGHTS_AT_ONCE // layout.weights)
    with np.errstate(all="ignore"):
        for first in range(0, n_blocks, step):
            layout.decode(blocks[first : first + step], weights[first : first + step])
    return out


def _float32(blocks: Bytes, out: Floats) -> None:
    out[:] = blocks.view("<f4")


def _float16(blocks: Bytes, out: Floats) -> None:
    out[:] = blocks.view("<f2")


def _bfloat16(blocks: Bytes, out: Floats) -> None:
    bits = out.view(np.uint32)
    bits[:] = blocks.view("<u2")
    bits <<= 16


def _q8_0(blocks: Bytes, out: Floats) -> None:
    out[:] = blocks[:, 2:].view(np.int8)
    out *= _half(blocks, 0)


def _q4_0(blocks: Bytes, out: Floats) -> None:
    _nibbles(blocks[:, 2:], out)
    out -= 8
    out *= _half(blocks, 0)


def _q4_1(blocks: Bytes, out: Floats) -> None:
    _nibbles(blocks[:, 4:], out)
    out *= _half(blocks, 0)
    out += _half(blocks, 2)


def _q5_0(blocks: Bytes, out: Floats) -> None:
    _nibbles(blocks[:, 6:], out)
    out += _fifth_bits(blocks[:, 2:6])
    out -= 16
    out *= _half(blocks, 0)


def _q5_1(blocks: Bytes, out: Floats) -> None:
    _nibbles(blocks[:, 8:], out)
    out += _fifth_bits(blocks[:, 4:8])
    out *= _half(blocks, 0)
    out += _half(blocks, 2)


def _q4_k(blocks: Bytes, out: Floats) -> None:
    quants = blocks[:, 16:].reshape(-1, 4, 1, 32)
    groups = out.reshape(-1, 4, 2, 32)
    groups[:, :, 0] = quants[:, :, 0] & 15
    groups[:, :, 1] = quants[:, :, 0] >> 4
    _scale_and_shift(blocks, out)


def _q5_k(blocks: Bytes, out: Floats) -> None:
    high, quants = blocks[:, 16:48], blocks[:, 48:].reshape(-1, 4, 32)
    groups = out.reshape(-1, 4, 2, 32)
    for pair in range(4):
        groups[:, pair, 0] = (quants[:, pair] & 15) | (((high >> (2 * pair)) & 1) << 4)
        groups[:, pair, 1] = (quants[:, pair] >> 4) | (((high >> (2 * pair + 1)) & 1) << 4)
    _scale_and_shift(blocks, out)


def _q6_k(blocks: Bytes, out: Floats) -> None:
    low, high = blocks[:, :128].reshape(-1, 2, 2, 32), blocks[:, 128:192].reshape(-1, 2, 32)
    groups = out.reshape(-1, 2, 4, 32)
    for quarter in range(4):
        four = low[:, :, quarter % 2] & 15 if quarter < 2 else low[:, :, quarter % 2] >> 4
        groups[:, :, quarter] = four | (((high >> (2 * quarter)) & 3) << 4)
    out -= 32
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    scales *= _half(blocks, 208)
    sixteen = out.reshape(-1, 16, 16)
    sixteen *= scales[:, :, None]


def _half(blocks: Bytes, start: int) -> Floats:
    """Return the float16 at byte `start` of each block as a column of float32."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Bytes, out: Floats) -> None:
    """Write the low halves of 16 bytes, then their high halves, as 32 numbers."""
    out[:, :16] = packed & 15
    out[:, 16:] = packed >> 4


def _fifth_bits(packed: Bytes) -> Bytes:
    """Return bit 4 of the 32 numbers of each block as 0 or 16."""
    bits: Bytes = np.unpackbits(np.ascontiguousarray(packed), axis=1, bitorder="little")
    bits <<= 4
    return bits


def _scale_and_shift(blocks: Bytes, out: Floats) -> None:
    """Apply the eight 6-bit scales and minima that Q4_K and Q5_K keep in bytes 4 to 16 of a block."""
    packed = blocks[:, 4:16].reshape(-1, 3, 4)
    first, second, rest = packed[:, 0], packed[:, 1], packed[:, 2]
    scales = np.concatenate([first & 63, (rest & 15) | ((first >> 2) & 48)], axis=1).astype(np.float32)
    minima = np.concatenate([second & 63, (rest >> 4) | ((second >> 2) & 48)], axis=1).astype(np.float32)
    scales *= _half(blocks, 0)
    minima *= _half(blocks, 2)
    eight = out.reshape(-1, 8, 32)
    eight *= scales[:, :, None]
    eight -= minima[:, :, None]


LAYOUTS: dict[str, Layout] = {
    "F32": Layout(0, 1, 4, _float32),
    "F16": Layout(1, 1, 2, _float16),
    "BF16": Layout(30, 1, 2, _bfloat16),
    "Q4_0": Layout(2, 32, 18, _q4_0),
    "Q4_1": Layout(3, 32, 20, _q4_1),
    "Q5_0": Layout(6, 32, 22, _q5_0),
    "Q5_1": Layout(7, 32, 24, _q5_1),
    "Q8_0": Layout(8, 32, 34, _q8_0),
    "Q4_K": Layout(12, SUPER_BLOCK, 144, _q4_k),
    "Q5_K": Layout(13, SUPER_BLOCK, 176, _q5_k),
    "Q6_K": Layout(14, SUPER_BLOCK, 210, _q6_k),
}
"""The formats that can be read, by GGML's name."""

OTHER_KINDS: dict[int, str] = {
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip
"""The names of formats that GGML has and we do not read, so that an error can name them."""


def known_kind(number: Any) -> str | None:
    """Return the name of the readable format that GGML numbers `number`, or None."""
    return next((name for name, layout in LAYOUTS.items() if layout.number == number), None)
