"""How much of an activation a dictionary gives back, and with how many features: counted token by token, told over all.

With y what stands where the dictionary writes, y' its reconstruction, f the features and m the mean of y over all tokens:
    explained variance    1 - sum |y - y'|^2 / sum |y - m|^2            FVU is 1 less this
    by token              mean of 1 - |y - y'|^2 / |y - m|^2            as older packages have it; a few short tokens rule it
    relative bias         mean |y'|^2 / mean (y . y')                   (Rajamanoharan et al. 2024, 2404.16014, equation 10)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.errors import InputError

DENSE = 0.1
"""Features that are active at a larger share of tokens are dense."""

DENSITY_EDGES = tuple(-6 + 0.25 * number for number in range(25))
"""Edges of the histogram of log10 densities; what lies below the first counts in the first bar, but never what is 0."""

_COLUMNS = ("l0", "l1", "missed", "varied", "given", "written", "along")
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What a dictionary gives back over `n_tokens`, and how sparsely.

    `mse` is the mean of |y - y'|^2, summed over coordinates; `cosine` and `l2_ratio` (|y'| / |y|) are means over tokens; `dead`
    is the share of features that are never active, `dense` of those that are active at more than a tenth of the tokens.
    `histogram` counts features by the log10 of their density, between DENSITY_EDGES.
    """

    n_tokens: int
    l0: float
    l1: float
    explained_variance: float
    explained_variance_by_token: float
    mse: float
    cosine: float
    l2_norm_in: float
    l2_norm_out: float
    l2_ratio: float
    relative_reconstruction_bias: float
    dead: float
    dense: float
    histogram: tuple[int, ...]

    @property
    def fvu(self) -> float:
        """Return the fraction of the variance that is left."""
        return 1 - self.explained_variance


class Tally:
    """The sums of a Reconstruction, batch by batch: any cut of the tokens into batches tells the same."""

    def __init__(self, mean: Float[Tensor, " d_out"], n_features: int) -> None:
        self.mean = mean.double()
        self.active = np.zeros(n_features, np.int64)
        self._rows: list[NDArray[np.float64]] = []

    def add(
        self,
        target: Float[Tensor, "batch d_out"],
        reconstructed: Float[Tensor, "batch d_out"],
        features: Float[Tensor, "batch n_features"],
    ) -> None:
        """Take a batch of what was to be given back, what was given back, and the features."""
        y, given = target.double(), reconstructed.double()
        columns = (
            (features != 0).sum(1).double(),
            features.double().abs().sum(1),
            (y - given).square().sum(1),
            (y - self.mean.to(y.device)).square().sum(1),
            given.square().sum(1),
            y.square().sum(1),
            (y * given).sum(1),
        )
        self._rows.append(torch.stack(columns).cpu().numpy())
        self.active += (features != 0).sum(0).cpu().numpy()

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Return every number of every token; raise InputError where none was added."""
        if not self._rows:
            raise InputError("no token was read, so nothing can be measured; give a text")
        return dict(zip(_COLUMNS, np.concatenate(self._rows, axis=1), strict=True))

    def densities(self) -> NDArray[np.float64]:
        """Return at which share of the tokens each feature is active."""
        return self.active / len(self.columns()["l0"])

    def result(self) -> Reconstruction:
        """Return what was counted."""
        found, densities = self.columns(), self.densities()
        lengths_in, lengths_out = np.sqrt(found["written"]), np.sqrt(found["given"])
        both = np.maximum(lengths_in * lengths_out, _TINY)
        return Reconstruction(
            n_tokens=len(found["l0"]),
            l0=float(found["l0"].mean()),
            l1=float(found["l1"].mean()),
            explained_variance=explained(found["missed"], found["varied"]),
            explained_variance_by_token=float((1 - found["missed"] / np.maximum(found["varied"], _TINY)).mean()),
            mse=float(found["missed"].mean()),
            cosine=float((found["along"] / both).mean()),
            l2_norm_in=float(lengths_in.mean()),
            l2_norm_out=float(lengths_out.mean()),
            l2_ratio=float((lengths_out / np.maximum(lengths_in, _TINY)).mean()),
            relative_reconstruction_bias=_share(found["given"], found["along"]),
            dead=float((densities == 0).mean()),
            dense=float((densities > DENSE).mean()),
            histogram=density_histogram(densities),
        )


def explained(missed: NDArray[Any], varied: NDArray[Any]) -> float:
    """Return 1 - the summed squared error over the summed squares around the mean; NaN where nothing varies."""
    return 1 - _share(missed, varied)


def density_histogram(densities: NDArray[np.float64]) -> tuple[int, ...]:
    """Return how many features have a log10 density between two DENSITY_EDGES; dead ones are in none."""
    alive = densities[densities > 0]
    logs = np.clip(np.log10(alive), DENSITY_EDGES[0], DENSITY_EDGES[-1])
    return tuple(np.histogram(logs, bins=DENSITY_EDGES)[0].tolist())


def summed_by(groups: Int[NDArray[Any], " n"], *columns: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Return the sums of columns over each group of tokens, such as a context; groups without a token are left out."""
    _, places = np.unique(groups, return_inverse=True)
    return [np.bincount(places, weights=column).astype(np.float64) for column in columns]


def _share(above: NDArray[Any], below: NDArray[Any]) -> float:
    whole = float(below.sum())
    return float(above.sum()) / whole if whole else float("nan")
