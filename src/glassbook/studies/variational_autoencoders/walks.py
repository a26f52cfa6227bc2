"""Latent traversals that are scored: how far pixels move and how often an independent judge sees another class."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Where a unit is put, in standard deviations of the prior."""

Decode = Callable[[Tensor], Tensor]
Judge = Callable[[Tensor], Tensor]


def walk(z: Float[Tensor, "n d"], unit: int, scale: float = 1.0) -> Float[Tensor, "steps n d"]:
    """Return codes in which one unit goes from -2 to +2 times `scale` and the others stay."""
    walked = z.repeat(len(STEPS), 1, 1)
    walked[:, :, unit] = scale * torch.tensor(STEPS)[:, None]
    return walked


def score(walked: Float[Tensor, "steps n d"], decode: Decode, judge: Judge) -> tuple[Tensor, Tensor]:
    """Return for each picture the mean change of a pixel from one end to the other, and 1 where the judge's class changes.

    The class changes where any step is seen as another than the step in the middle.
    """
    pictures = decode(walked)
    classes = judge(pictures)
    change = (pictures[-1] - pictures[0]).abs().mean(-1)
    return change, (classes != classes[len(STEPS) // 2]).any(0).float()


def score_units(
    z: Float[Tensor, "n d"], scales: Float[Tensor, " d"], decode: Decode, judge: Judge
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """Return the two scores of every unit, walked from every code."""
    scored = [score(walk(z, unit, float(scale)), decode, judge) for unit, scale in enumerate(scales)]
    changes, flips = zip(*scored, strict=True)
    return torch.stack(changes, 1), torch.stack(flips, 1)


def mean_over(values: Float[Tensor, "n d"], units: Bool[Tensor, " d"]) -> Float[Tensor, " n"]:
    """Return each row's mean over some units; no unit at all moves nothing, so 0."""
    return values[:, units].mean(1) if bool(units.any()) else torch.zeros(len(values))
