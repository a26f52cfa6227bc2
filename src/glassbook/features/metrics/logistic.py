"""Logistic regression: the linear probe that fits best, found in float64 to the one answer that its objective has.

With x in units of the root mean square of all columns about their means, w and b minimize
    sum_i c_i log(1 + exp(-y_i (w . x_i + b))) + |w|^2 / 2,        y_i = 1 for positives and -1 for the others
where c_i is 1, or where `balanced` weighs both classes alike. The rows' common scale does not matter, nor the columns' order; how
columns compare does, so that a probe of the stream points where the stream itself moves.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.core.errors import InputError

FEWEST = 2
"""So few items of a class cannot be learned from, or tested on."""

_MOST_STEPS, _FLAT, _STILL = 300, 1e-6, 1e-12


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear classifier of rows as they are; a score above 0 says that a row is positive."""

    weights: Float[Tensor, " width"]
    intercept: float

    def scores(self, rows: Float[Tensor, "n width"]) -> Float[Tensor, " n"]:
        """Return the log-odds that each row is positive."""
        return rows.double() @ self.weights + self.intercept


def fit_probe(rows: Float[Tensor, "n width"], is_positive: Bool[Tensor, " n"], *, balanced: bool = False) -> Probe:
    """Return the probe that tells positives from the others; raise InputError for fewer than two rows of either."""
    check_classes(rows, is_positive)
    x = rows.double()
    middle = x.mean(0)
    unit = (x - middle).square().mean().sqrt().clamp_min(torch.finfo(x.dtype).tiny)
    signs = torch.where(is_positive, 1.0, -1.0).double()
    share = is_positive.double().mean()
    counts = torch.where(is_positive, 0.5 / share, 0.5 / (1 - share)) if balanced else torch.ones_like(signs)
    point = _least((x - middle) / unit, signs, counts)
    weights = point[:-1] / unit
    return Probe(weights, float(point[-1] - weights @ middle))


def f1(said: Bool[Tensor, " n"], is_positive: Bool[Tensor, " n"]) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing is found."""
    right = int((said & is_positive).sum())
    return 2 * right / max(int(said.sum()) + int(is_positive.sum()), 1)


def check_classes(rows: Float[Tensor, "n width"], is_positive: Bool[Tensor, " n"]) -> None:
    """Raise InputError for fewer than two rows of a class, or NaN among them."""
    positives = int(is_positive.sum())
    others = len(is_positive) - positives
    if min(positives, others) < FEWEST:
        raise InputError(
            f"a probe cannot be fitted to, or tested on, {positives} positives and {others} others; "
            f"give at least {FEWEST} of each"
        )
    if not bool(rows.isfinite().all()):
        raise InputError(
            "the rows hold NaN or infinite numbers, so nothing can be told by them; look where they come from"
        )


def _least(
    x: Float[Tensor, "n width"], signs: Float[Tensor, " n"], counts: Float[Tensor, " n"]
) -> Float[Tensor, " width_and_one"]:
    """Return weights and intercept at the objective's minimum; the gradient is written out, so that no graph is needed."""
    point = x.new_zeros(x.shape[1] + 1)
    solver = torch.optim.LBFGS(
        [point],
        max_iter=_MOST_STEPS,
        tolerance_grad=_FLAT,
        tolerance_change=_STILL,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        weights = point[:-1]
        margins = signs * (x @ weights + point[-1])
        slopes = -signs * counts * torch.sigmoid(-margins)
        point.grad = torch.cat([x.T @ slopes + weights, slopes.sum().reshape(1)])
        return (counts * torch.nn.functional.softplus(-margins)).sum() + weights.square().sum() / 2

    solver.step(loss)
    return point.detach()
