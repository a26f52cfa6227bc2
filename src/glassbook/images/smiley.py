"""Smileys: faces drawn from 4 attributes and 18 known numbers, so that a code of them can be held against the truth.

Redrawn by our own code from the description in Tonolini et al. 2019, supplement E: a disc of radius 10 on 32 x 32 pixels; a
bow-tie, a hat, eyes and a mouth, each there with probability 1/2, and each with numbers of its own for size and place. The
bow-tie is two triangles and a knot here, where the authors shrink a picture of one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from glassbook.images.image_set import ImageSet
from glassbook.stats.samples import Floats, generator

ATTRIBUTES = {
    "bow-tie": ("x", "y", "width", "height"),
    "hat": ("x", "y", "brim width", "brim height", "crown width", "crown height"),
    "eyes": ("distance", "y", "radius"),
    "mouth": ("width", "height", "x", "y", "bend"),
}
"""The attributes, each with the numbers that draw it, in the order of the columns of `AttributeSet.factors`."""

N_FACTORS = sum(len(names) for names in ATTRIBUTES.values())

_SIDE = 32
_RADIUS = 10.0
_CENTER = 16.5  # pixels are counted from 1
_SPREAD = 0.5  # standard deviation of every factor
_KNOT = 0.25  # half the knot's height, as a share of half the bow-tie's

_ROWS, _COLUMNS = (axis[None] for axis in np.mgrid[1 : _SIDE + 1, 1 : _SIDE + 1].astype(float))
Mask = Bool[np.ndarray, "n 32 32"]


@dataclass(frozen=True)
class AttributeSet:
    """Pictures with the truth about each: which attributes are there, and the factors that drew them."""

    images: ImageSet
    present: Bool[np.ndarray, "n 4"]
    factors: Float32[np.ndarray, "n 18"]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sources(self) -> Float32[np.ndarray, "n 18"]:
        """Return the factors, 0 where their attribute is absent: what a sparse code should find."""
        return np.where(self.present[:, attribute_of_factor()], self.factors, np.float32(0))


def attribute_of_factor() -> np.ndarray:
    """Return for each of the 18 factors the number of its attribute."""
    return np.repeat(np.arange(len(ATTRIBUTES)), [len(names) for names in ATTRIBUTES.values()])


def draw_smileys(n: int, seed: int) -> AttributeSet:
    """Return `n` faces, the same for the same seed; a picture's label is the number of its set of attributes, 0 to 15."""
    random = generator(seed, "smiley")
    present = random.random((n, len(ATTRIBUTES))) < 0.5
    factors = _SPREAD * random.standard_normal((n, N_FACTORS))
    face = np.broadcast_to(_disc(_CENTER, _CENTER, _RADIUS), (n, _SIDE, _SIDE)).copy()
    bow_tie, hat, eyes, mouth = (
        there[:, None, None] & drawn(_split(factors, number))
        for number, (there, drawn) in enumerate(zip(present.T, (_bow_tie, _hat, _eyes, _mouth), strict=True))
    )
    pixels = (((face | bow_tie) & ~eyes & ~mouth) | hat).astype(np.uint8) * np.uint8(255)
    labels = present @ (1 << np.arange(len(ATTRIBUTES)))
    images = ImageSet(
        "smiley", pixels, labels.astype(np.int64), "Apache-2.0", f"drawn by glassbook.images, seed {seed}"
    )
    return AttributeSet(images, present, factors.astype(np.float32))


def _split(factors: Floats, attribute: int) -> list[Floats]:
    """Return the factors of one attribute, each as a column that broadcasts over a picture."""
    return [factors[:, place, None, None] for place in np.flatnonzero(attribute_of_factor() == attribute)]


def _bow_tie(factors: list[Floats]) -> Mask:
    x, y, width, height = factors
    across = np.abs(_COLUMNS - (_CENTER + 0.5 * x)) / ((12 + 3 * width) / 2)
    along = np.abs(_ROWS - (29 + y)) / np.maximum((5 + 2 * height) / 2, 0.5)
    return np.asarray((across <= 1) & (along <= np.maximum(across, _KNOT)))


def _hat(factors: list[Floats]) -> Mask:
    x, y, brim_width, brim_height, crown_width, crown_height = factors
    center, middle = _CENTER + x, 6 + y
    top = _round(middle - (2 + 2 * brim_height) / 2)
    bottom = _round(middle + (2 + 2 * brim_height) / 2)
    brim = _box(center, 15 + 3 * brim_width, top, bottom)
    crown = _box(center, 10 + 2 * crown_width, _round(top - (2 + crown_height)), top)
    return brim | crown


def _eyes(factors: list[Floats]) -> Mask:
    distance, y, radius = factors
    left, right = _CENTER - 4 - distance, _CENTER + 4 + distance
    return _disc(left, 14 + y, 2 + radius) | _disc(right, 14 + y, 2 + radius)


def _mouth(factors: list[Floats]) -> Mask:
    width, height, x, y, bend = factors
    center, middle = 16 + 0.5 * x, 22 + 0.5 * y
    half_width, half_height = (4 + width) / 2, (2 + height) / 2
    lips = _box(center, 4 + width, _round(middle - half_height), _round(middle + half_height))
    first, last = _round(center - half_width), _round(center + half_width)
    near, far = _round(middle + bend), _round(middle + 1.4 * bend)
    corners = ((first - 1 == _COLUMNS) | (last + 1 == _COLUMNS)) & (near == _ROWS)
    ends = ((first - 2 == _COLUMNS) | (last + 2 == _COLUMNS)) & (far == _ROWS)
    return lips | corners | ends


def _box(center: Floats, width: Floats, top: Floats, bottom: Floats) -> Mask:
    columns = (_round(center - width / 2) <= _COLUMNS) & (_round(center + width / 2) >= _COLUMNS)
    return np.asarray(columns & (top <= _ROWS) & (bottom >= _ROWS))


def _disc(x: Floats | float, y: Floats | float, radius: Floats | float) -> Mask:
    return np.asarray(((_COLUMNS - x) ** 2 + (_ROWS - y) ** 2 <= radius**2) & (np.asarray(radius) >= 0))


def _round(value: Floats) -> Floats:
    return np.floor(value + 0.5)
