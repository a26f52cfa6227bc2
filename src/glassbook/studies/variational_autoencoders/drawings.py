"""The pictures that the arms keep beside their numbers."""

from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.studies.variational_autoencoders.walks import STEPS, Decode, walk
from glassbook.views import ImageGrid, to_digits

_MANIFOLD = 10  # pictures a side
_SHOWN = 10


def manifold(decode: Decode, side: int) -> ImageGrid:
    """Return the plane of a two-dimensional code, cut into squares that the prior holds equally likely."""
    places = [NormalDist().inv_cdf((place + 0.5) / _MANIFOLD) for place in range(_MANIFOLD)]
    z = torch.tensor([[x, y] for y in reversed(places) for x in places])
    with torch.no_grad():
        pictures = decode(z)
    return ImageGrid(
        title="The plane of a two-dimensional code",
        caption="Each picture is decoded from one place of the code; neighbors differ by a tenth of the prior's probability.",
        rows=[f"{y:+.1f}" for y in reversed(places)],
        columns=[f"{x:+.1f}" for x in places],
        images=_rows(pictures, _MANIFOLD, side),
        width=side,
        height=side,
        what="decoded picture",
        row_axis="second unit",
        column_axis="first unit, in standard deviations of the prior",
    )


def reconstructions(x: Float[Tensor, "n pixels"], rebuilt: Float[Tensor, "n pixels"], side: int, how: str) -> ImageGrid:
    """Return test pictures and what a model makes of them."""
    return ImageGrid(
        title="Test pictures and what is left of them in the code",
        caption=f"Above: the first test pictures. Below: decoded from the code of {how}, without noise.",
        rows=["test picture", "reconstruction"],
        columns=[""] * _SHOWN,
        images=[*_rows(x[:_SHOWN], _SHOWN, side), *_rows(rebuilt[:_SHOWN], _SHOWN, side)],
        width=side,
        height=side,
        what="picture",
    )


def traversals(z: Float[Tensor, "1 d"], units: list[int], notes: list[str], decode: Decode, side: int) -> ImageGrid:
    """Return one picture with one unit a row walked from end to end; `notes` say what each row scored."""
    with torch.no_grad():
        rows = [_rows(decode(walk(z, unit)[:, 0]), len(STEPS), side)[0] for unit in units]
    return ImageGrid(
        title="Units of the code, walked one at a time",
        caption="All rows start from the code of one test picture; active units come first, silent ones last.",
        rows=notes,
        columns=[f"{step:+g}" for step in STEPS],
        images=rows,
        width=side,
        height=side,
        what="decoded picture",
        column_axis="the unit's value in standard deviations of the prior",
    )


def gallery(x: Float[Tensor, "n pixels"], side: int, title: str, caption: str) -> ImageGrid:
    """Return the first pictures of a set."""
    n = min(len(x), 2 * _SHOWN)
    images = _rows(x[:n], _SHOWN, side)
    return ImageGrid(
        title=title, caption=caption, rows=[""] * len(images), columns=[], images=images, width=side, height=side
    )


def _rows(pictures: Float[Tensor, "n pixels"], columns: int, side: int) -> list[list[str]]:
    digits = [to_digits(picture.reshape(side, side)) for picture in pictures]
    return [digits[start : start + columns] for start in range(0, len(digits), columns)]
