"""Directions: what two sets of activations, one row a text, say about the way from one to the other.

Every kind is a function `(positives, negatives) -> direction`, computed in float64. Only the way it points counts: its
length is set by one rule for all of them, `scaled`, so that strength 1 means the same for each.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError, VectorError
from glassbook.core.registry import Registry

Norm = Literal["difference", "unit"]
Direction = Callable[[Float[Tensor, "n width"], Float[Tensor, "m width"]], Float[Tensor, " width"]]

NORMS: dict[str, str] = {
    "difference": "strength 1 moves a value by the distance between the two means along the direction",
    "unit": "strength 1 moves a value by 1",
}
DIRECTIONS: Registry[Direction] = Registry("direction")
PAIRED = ("pca", "pca-center")
"""The directions whose row i of positives and row i of negatives belong together."""

_NOTHING = 1e-6
_MOST_STEPS, _FLAT, _STILL = 500, 1e-8, 1e-14


@DIRECTIONS.add("mean-difference")
def mean_difference(
    positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]
) -> Float[Tensor, " width"]:
    """Return mean(positives) - mean(negatives) (Rimsky et al. 2023, 2312.06681; Marks and Tegmark 2023, 2310.06824)."""
    difference = positives.mean(0) - negatives.mean(0)
    if difference.norm() <= _NOTHING * _size(positives, negatives):
        raise VectorError("the two sets have the same mean, so their mean difference is zero; choose other texts")
    return difference


@DIRECTIONS.add("mean-centered")
def mean_centered(positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]) -> Float[Tensor, " width"]:
    """Return mean(target) - mean(general): the target texts against a general corpus (Jorgensen et al. 2023, 2312.03813).

    The arithmetic is that of the mean difference; what differs is the second set, which is no opposite but language at large.
    """
    return mean_difference(positives, negatives)


@DIRECTIONS.add("pca")
def pca(positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]) -> Float[Tensor, " width"]:
    """Return the first principal component of the paired differences p_i - n_i, of length 1: repeng's `pca_diff`.

    Zou et al. 2023 (2310.01405). The differences are centered first, so what all pairs share, their mean difference, is not
    in it. It points where more of the positives lie further along it than their negatives; where as many do as do not, its
    largest coordinate is positive. For the last block repeng reads behind the final norm, at our `resid_final`.
    """
    differences = _paired_differences(positives, negatives)
    centered = differences - differences.mean(0)
    if centered.norm() <= _NOTHING * differences.norm():
        raise VectorError(
            "the differences of all pairs are alike, so nothing is left when their mean is taken off; "
            "use 'pca-center' or 'mean-difference'"
        )
    return _first_component(centered, differences)


@DIRECTIONS.add("pca-center")
def pca_center(positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]) -> Float[Tensor, " width"]:
    """Return the first principal component of both halves of each pair, its midpoint taken off: repeng's `pca_center`.

    That is the component of the differences themselves, not centered: what all pairs share counts most. Sign as in `pca`.
    """
    differences = _paired_differences(positives, negatives)
    return _first_component(differences, differences)


@DIRECTIONS.add("logistic")
def logistic(positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]) -> Float[Tensor, " width"]:
    """Return the weights w of a logistic probe that tells the two sets apart.

    With x the activations in units of their root mean square about their common mean, w and b minimize
    sum_i log(1 + exp(-y_i (w . x_i + b))) + |w|^2 / 2, y_i = 1 for positives and -1 for negatives: L2-regularized logistic
    regression at its usual strength, C = 1, with a free intercept. Full-batch L-BFGS from zero, so the answer is one.
    """
    if len(positives) < 2 or len(negatives) < 2:
        raise InputError(
            f"a probe cannot be fitted to {len(positives)} positives and {len(negatives)} negatives; "
            f"give at least two of each, or use 'mean-difference'"
        )
    rows = torch.cat([positives, negatives])
    rows = rows - rows.mean(0)
    unit = rows.square().mean().sqrt().clamp_min(torch.finfo(rows.dtype).tiny)
    signs = torch.cat([rows.new_ones(len(positives)), -rows.new_ones(len(negatives))])
    weights = _fitted_probe(rows / unit, signs)
    if weights.norm() <= _NOTHING:
        raise VectorError("a probe finds nothing that tells the two sets apart; choose other texts")
    return weights


def scaled(
    raw: Float[Tensor, " width"],
    positives: Float[Tensor, "n width"],
    negatives: Float[Tensor, "m width"],
    norm: Norm = "difference",
) -> Float[Tensor, " width"]:
    """Return a direction at the length that `norm` asks for; raise VectorError where it has none.

    "difference" makes it as long as the means of the two sets lie apart along it: the mean difference keeps its own length,
    and strength 1 of any other direction takes the mean of the negatives as far along it as that of the positives.
    """
    if norm not in NORMS:
        raise VectorError(f"there is no norm '{norm}'; choose one of {', '.join(NORMS)}")
    unit = raw / raw.norm()
    if norm == "unit":
        return unit
    between = positives.mean(0) - negatives.mean(0)
    apart = (between @ unit).abs()
    if apart <= _NOTHING * _size(positives, negatives):
        raise VectorError("the two sets lie no distance apart along their direction; ask for norm='unit' instead")
    # Along itself the mean difference is as long as it is, to the last bit.
    return between if torch.equal(raw, between) else unit * apart


def _size(positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]) -> Float[Tensor, ""]:
    """Return how long an activation is on average; a millionth of it is rounding."""
    return torch.cat([positives, negatives]).norm(dim=-1).mean()


def _paired_differences(
    positives: Float[Tensor, "n width"], negatives: Float[Tensor, "m width"]
) -> Float[Tensor, "n width"]:
    if len(positives) != len(negatives):
        raise InputError(
            f"{len(positives)} positives and {len(negatives)} negatives make no pairs; give as many of one as of the other"
        )
    if len(positives) < 2:
        raise InputError("one pair has no principal component; give at least two, or use 'mean-difference'")
    differences = positives - negatives
    if differences.norm() <= _NOTHING * torch.cat([positives, negatives]).norm():
        raise VectorError(
            "the two halves of every pair are equal, so no direction lies between them; choose other texts"
        )
    return differences


def _first_component(rows: Float[Tensor, "n width"], differences: Float[Tensor, "n width"]) -> Float[Tensor, " width"]:
    """Return the first right singular vector of `rows`, its sign settled by the majority of `differences`."""
    component = torch.linalg.svd(rows, full_matrices=False).Vh[0]
    component = component * component[component.abs().argmax()].sign()
    votes = (differences @ component).sign().sum()
    return -component if votes < 0 else component


def _fitted_probe(rows: Float[Tensor, "n width"], signs: Float[Tensor, " n"]) -> Float[Tensor, " width"]:
    """Return the weights of the logistic probe; the gradient is written out, so that no graph is needed."""
    point = rows.new_zeros(rows.shape[1] + 1)
    solver = torch.optim.LBFGS(
        [point],
        max_iter=_MOST_STEPS,
        tolerance_grad=_FLAT,
        tolerance_change=_STILL,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        weights, intercept = point[:-1], point[-1]
        margins = signs * (rows @ weights + intercept)
        slopes = -signs * torch.sigmoid(-margins)
        point.grad = torch.cat([rows.T @ slopes + weights, slopes.sum().reshape(1)])
        return torch.nn.functional.softplus(-margins).sum() + weights.square().sum() / 2

    solver.step(loss)
    return point[:-1].clone()
