"""Image sets: pictures of one size with their labels, where they come from, and a checksum of exactly these rows."""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, UInt8
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.hashes import Progress, sha256_bytes
from glassbook.sources.known import known
from glassbook.sources.obtain import obtain
from glassbook.stats.samples import generator

KNOWN = ("mnist", "fashion_mnist_900")
"""Those files of `sources` that hold pictures."""

_TEST_SHARE = 1 / 3  # of a set that its origin did not split


@dataclass(frozen=True)
class ImageSet:
    """Gray pictures of one size, from 0 (black) to 255 (white), and the class of each."""

    name: str
    pixels: UInt8[np.ndarray, "n height width"]
    labels: Int[np.ndarray, " n"]
    licence: str
    origin: str

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def n_pixels(self) -> int:
        """Return how many pixels a picture has."""
        return int(self.pixels.shape[1] * self.pixels.shape[2])

    @property
    def n_classes(self) -> int:
        """Return one more than the greatest label."""
        return int(self.labels.max()) + 1

    @property
    def scaled(self) -> Float32[np.ndarray, "n pixels"]:
        """Return the pictures as rows of numbers from 0 to 1."""
        return self.pixels.reshape(len(self), -1).astype(np.float32) / np.float32(255)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the pixels and, after them, of the labels as 64-bit integers."""
        return sha256_bytes(np.ascontiguousarray(self.pixels).tobytes() + self.labels.astype("<i8").tobytes())

    def take(self, places: NDArray[np.integer] | slice) -> "ImageSet":
        """Return the set of the pictures at these places."""
        return replace(self, pixels=self.pixels[places], labels=self.labels[places])


@dataclass(frozen=True)
class Split:
    """What a model may learn from, and what it is judged on."""

    train: ImageSet
    test: ImageSet


def open_images(name: str, progress: Progress | None = None) -> Split:
    """Return a known image set, split as its origin split it, else by class with seed 0.

    Raises InputError for a name that holds no pictures, SourceError where the file cannot be had.
    """
    if name not in KNOWN:
        raise InputError(f"no image set is named '{name}'; known: {', '.join(KNOWN)}")
    return _read(name, obtain(name, progress))


def split_by_class(images: ImageSet, test_share: float, seed: int) -> Split:
    """Return the set split so that every class gives the same share to the test, and no picture is in both.

    Pictures keep their order. Raises InputError where a class has too few pictures to be in both parts.
    """
    is_test = np.zeros(len(images), dtype=bool)
    for label in np.unique(images.labels):
        places = np.flatnonzero(images.labels == label)
        n_test = round(len(places) * test_share)
        if not 0 < n_test < len(places):
            raise InputError(
                f"class {label} of '{images.name}' has {len(places)} pictures, and a share of {test_share:g} leaves one part "
                f"of the split without any; choose another share"
            )
        is_test[generator(seed, "split", int(label)).permutation(places)[:n_test]] = True
    return Split(images.take(np.flatnonzero(~is_test)), images.take(np.flatnonzero(is_test)))


def _read(name: str, path: Path) -> Split:
    """Return the split that an npz file of `sources` holds: x_train, y_train, x_test, y_test, or x and y."""
    file = known(name)
    try:
        with np.load(path, allow_pickle=False) as stored:
            rows = {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as fault:
        raise FileFormatError(f"'{path}' is no npz file of pictures ({fault}); fetch it again") from fault

    def images(suffix: str = "") -> ImageSet:
        return ImageSet(name, rows[f"x{suffix}"], rows[f"y{suffix}"].astype(np.int64), file.licence, file.origin)

    if "x_train" in rows:
        return Split(images("_train"), images("_test"))
    return split_by_class(images(), _TEST_SHARE, seed=0)
