"""Whether a code of smileys falls into the blocks of their attributes: correlations with the numbers that drew them."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from glassbook.images.smiley import N_FACTORS, attribute_of_factor

USED_VARIANCE = 0.01
"""A unit whose code varies less than this over the test pictures says nothing (Burda et al. 2016 call it inactive)."""

_SMALLEST = 1e-12


def correlations(
    sources: Float[np.ndarray, "n factors"], codes: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, "factors d"]:
    """Return |correlation| of |source| and |code|, as Tonolini et al. 2019 compute it; 0 where either is constant."""
    both = [np.abs(values.astype(np.float64)) for values in (sources, codes)]
    centered = [values - values.mean(0) for values in both]
    norms = [np.sqrt((values**2).sum(0)) for values in centered]
    scaled = [
        np.divide(values, norm, out=np.zeros_like(values), where=norm > _SMALLEST)
        for values, norm in zip(centered, norms, strict=True)
    ]
    return np.abs(scaled[0].T @ scaled[1])


def contrasts(sources: Float[np.ndarray, "n 18"], codes: Float[np.ndarray, "n d"]) -> NDArray[np.float64]:
    """Return for each of the 18 sources how clearly the unit that follows it best keeps to its attribute.

    The correlation with the source, less the mean of that unit's correlations with the sources of other attributes: 1 where a
    unit of its own stands for every source, 0 where units follow all attributes alike.
    """
    found, attribute = correlations(sources, codes), attribute_of_factor()
    best = found.argmax(1)
    other = attribute[:, None] != attribute[None, :]
    elsewhere = np.array([found[other[factor], best[factor]].mean() for factor in range(N_FACTORS)])
    return found[np.arange(N_FACTORS), best] - elsewhere


def n_used(codes: Float[np.ndarray, "n d"]) -> int:
    """Return how many units vary by more than `USED_VARIANCE`."""
    return int((codes.var(0) > USED_VARIANCE).sum())
