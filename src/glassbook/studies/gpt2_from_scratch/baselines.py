"""What no network is needed for: guessing by frequency, by the character before, and by a compressor's memory."""

import lzma
import math
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Column = NDArray[np.float64]


class Split(NamedTuple):
    """A text as ids, cut into what is learned from and what is foretold."""

    train: Ids
    val: Ids
    d_vocab: int


def window_losses(split: Split, context: int) -> dict[str, Column]:
    """Return, in nats a character, what three guessers lose on each window of the validation text.

    They predict the same characters as a network that reads windows of `context`: all but the first of the split, and none
    of the last window that is not full. Counts are of the training text, each with one added.
    """
    n_windows = (len(split.val) - 1) // context
    before, after = split.val[: n_windows * context], split.val[1 : n_windows * context + 1]
    single = np.bincount(split.train, minlength=split.d_vocab) + 1.0
    pairs = np.ones((split.d_vocab, split.d_vocab))
    np.add.at(pairs, (split.train[:-1], split.train[1:]), 1.0)
    losses = {
        "uniform": np.full(len(after), math.log(split.d_vocab)),
        "unigram": -np.log(single / single.sum())[after],
        "bigram": -np.log(pairs / pairs.sum(1, keepdims=True))[before, after],
    }
    return {name: loss.reshape(n_windows, context).mean(1) for name, loss in losses.items()}


def compressed_bits(train: bytes, val: bytes) -> dict[str, float]:
    """Return how many bits a byte of `val` takes compressed: alone by gzip and xz, and by xz that has read `train` first."""
    return {
        "gzip": _bits(len(zlib.compress(val, 9)), val),
        "xz": _bits(_xz(val), val),
        "xz_after_train": _bits(_xz(train + val) - _xz(train), val),
    }


def _bits(n_bytes: int, text: bytes) -> float:
    return 8 * n_bytes / len(text)


def _xz(text: bytes) -> int:
    # Headers and checksums left out, as they would be in a stream that goes on; the memory of preset 6 holds 8 MiB.
    return len(
        lzma.compress(text, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME}])
    )
