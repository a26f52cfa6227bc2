"""How often and how strongly each feature is active: counts, the largest activation, and a histogram in one pass.

A histogram must know its range before the first number comes. Here the range of a feature is the power of two above its largest
activation so far; when that grows, bins are joined in pairs, to exactly the counts that the wider bins would have had. So edges
are even, the last bins of a range are empty, and between half of them and all are in use.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from glassbook.features.cards.card import Histogram

BINS = 32
INTERVALS = 8
"""How many parts a range has in the histogram, and for examples sampled from even intervals of activation."""

_LEAST = -1000
"""The exponent of the range of a feature that was never active."""


class Activity:
    """What is counted of each feature."""

    def __init__(self, n_features: int) -> None:
        self.counts = np.zeros(n_features, np.int64)
        self.largest = np.zeros(n_features, np.float32)
        self.bins = np.zeros((n_features, BINS), np.int64)
        self._exponents = np.full(n_features, _LEAST, np.int32)

    def add(
        self, features: Int[NDArray[Any], " n"], values: Float[NDArray[Any], " n"]
    ) -> Int[NDArray[Any], " n_features"]:
        """Count activations, sorted by feature; return by which power of two each feature's range has grown."""
        n_features = len(self.counts)
        counts = np.bincount(features, minlength=n_features)
        self.counts += counts
        there = counts.nonzero()[0]
        starts = (np.cumsum(counts) - counts)[there]
        if len(there):
            self.largest[there] = np.maximum(self.largest[there], np.maximum.reduceat(values, starts))
        grown = self._grow()
        places = features.astype(np.int64) * BINS + self._part(features, values, BINS)
        self.bins += np.bincount(places, minlength=n_features * BINS).reshape(n_features, BINS)
        return grown

    def interval(self, features: Int[NDArray[Any], " n"], values: Float[NDArray[Any], " n"]) -> Int[NDArray[Any], " n"]:
        """Return in which interval of its feature's range each value lies, from 0 at the bottom."""
        return self._part(features, values, INTERVALS)

    def histogram(self, feature: int) -> Histogram:
        """Return a feature's histogram up to the bin of its largest activation."""
        largest = self.largest[feature : feature + 1]
        if not largest[0]:
            return Histogram((), ())
        used = int(self._part(np.array([feature]), largest, BINS)[0]) + 1
        width = float(np.ldexp(1.0, int(self._exponents[feature]))) / BINS
        return Histogram(tuple(number * width for number in range(used + 1)), tuple(self.bins[feature, :used].tolist()))

    def _part(
        self, features: Int[NDArray[Any], " n"], values: Float[NDArray[Any], " n"], parts: int
    ) -> Int[NDArray[Any], " n"]:
        # Powers of two scale without rounding, so that no value slips over an edge.
        return (np.ldexp(values.astype(np.float64), -self._exponents[features]) * parts).astype(np.int64)

    def _grow(self) -> Int[NDArray[Any], " n_features"]:
        """Widen the ranges that the largest activations have left."""
        exponents = np.where(self.largest > 0, np.frexp(self.largest)[1], _LEAST).astype(np.int32)
        shifts = np.minimum(exponents - self._exponents, BINS)
        for shift in np.unique(shifts[shifts > 0]):
            which = (shifts == shift).nonzero()[0]
            joined = np.zeros((len(which), BINS), np.int64)
            for part in range(BINS):
                joined[:, part >> int(shift)] += self.bins[which, part]
            self.bins[which] = joined
        self._exponents = exponents
        return shifts
