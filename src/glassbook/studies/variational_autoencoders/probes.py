"""What a linear reader finds in a code: softmax regression with its penalty chosen on a validation split, and PCA beside it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_VALIDATION = 5  # one in so many labelled pictures chooses the penalty


class Probe(NamedTuple):
    """A linear reader of codes: class scores are `(code - center) / scale @ weight + bias`."""

    center: Float[Tensor, " d"]
    scale: Float[Tensor, ""]
    weight: Float[Tensor, "d classes"]
    bias: Float[Tensor, " classes"]

    def classes(self, codes: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """Return the class that each code is read as."""
        return ((codes - self.center) / self.scale @ self.weight + self.bias).argmax(-1)


def fit_probe(codes: Float[Tensor, "n d"], labels: Int[Tensor, " n"], n_classes: int, iterations: int) -> Probe:
    """Return the softmax regression with the penalty that reads a held-out fifth best, fitted on all.

    Codes are centered and divided by one number, their overall deviation, so that units with little to say stay small.
    """
    held = torch.arange(len(codes)) % _VALIDATION == 0

    def validated(penalty: float) -> float:
        probe = _fit(codes[~held], labels[~held], n_classes, penalty, iterations)
        return float(correct(probe, codes[held], labels[held]).float().mean())

    return _fit(codes, labels, n_classes, max(PENALTIES, key=validated), iterations)


def correct(probe: Probe, codes: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Return for each code whether it is read as its class."""
    return probe.classes(codes) == labels


def _fit(codes: Tensor, labels: Tensor, n_classes: int, penalty: float, iterations: int) -> Probe:
    center = codes.mean(0)
    scale = (codes - center).square().mean().sqrt().clamp(min=1e-6)
    rows = (codes - center) / scale
    weight = torch.zeros(codes.shape[1], n_classes, requires_grad=True)
    bias = torch.zeros(n_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(rows @ weight + bias, labels) + penalty * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return Probe(center, scale, weight.detach(), bias.detach())


class PCA(NamedTuple):
    """The directions along which pictures differ most, the largest first, with the variance along each."""

    mean: Float[Tensor, " pixels"]
    directions: Float[Tensor, "d pixels"]
    variances: Float[Tensor, " d"]

    def code(self, x: Float[Tensor, "n pixels"]) -> Float[Tensor, "n d"]:
        """Return the coordinates of pictures along the directions."""
        return (x - self.mean) @ self.directions.T

    def decode(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch pixels"]:
        """Return the pictures of coordinates, kept between 0 and 1."""
        return (z @ self.directions + self.mean).clamp(0, 1)


def fit_pca(x: Float[Tensor, "n pixels"], d: int) -> PCA:
    """Return the first `d` principal directions of the pictures, from the eigenvectors of their covariance."""
    mean = x.mean(0)
    centered = x - mean
    # Pixels that are always black make eigenvalues of 0 by the hundred, which single precision does not survive.
    variances, vectors = torch.linalg.eigh((centered.T @ centered / len(x)).double())
    return PCA(mean, vectors.T.flip(0)[:d].float().contiguous(), variances.flip(0)[:d].clamp(min=0).float())


def in_batches(encode: Callable[[Tensor], Tensor], x: Float[Tensor, "n pixels"], size: int = 1000) -> Tensor:
    """Return what `encode` makes of all rows, so many at a time and without gradients."""
    with torch.no_grad():
        return torch.cat([encode(rows) for rows in x.split(size)])
