"""Whether two dictionaries found the same features, such as two that differ in their seed alone."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch.nn import functional as F

from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError

SAME = 0.7
"""From this cosine on two features count as the same (Paulo and Belrose 2025, 2501.16615)."""


@dataclass(frozen=True)
class Matched:
    """The features of one dictionary beside those of another.

    `nearest` has for each feature the largest cosine with any feature of the other, `partners` the other's feature that was
    paired with it, each at most once and the nearest pairs first (-1 where none was left), and `cosines` those of the pairs.
    """

    nearest: Float[NDArray[np.float32], " n"]
    partners: Int[NDArray[np.int64], " n"]
    cosines: Float[NDArray[np.float32], " n"]

    @property
    def mean_nearest(self) -> float:
        """Return the mean over features of the largest cosine."""
        return float(self.nearest.mean())

    @property
    def same(self) -> float:
        """Return the share of features whose partner has a cosine of at least SAME."""
        return float((self.cosines >= SAME).mean())


@torch.no_grad()
def match_features(ours: Dictionary, theirs: Dictionary) -> Matched:
    """Return the features of `ours` beside those of `theirs`, by the directions of their decoders.

    Raises DictionaryError where the two do not write equally wide.
    """
    if ours.d_out != theirs.d_out:
        raise DictionaryError(
            f"features of {ours.d_out} and of {theirs.d_out} coordinates have no cosine; compare two of one Site"
        )
    a, b = (F.normalize(one.decoder.detach().float(), dim=1) for one in (ours, theirs))
    cosines = (a @ b.T).cpu().numpy()
    partners = _paired(cosines)
    paired = np.where(partners >= 0, cosines[np.arange(len(a)), partners], -1.0).astype(np.float32)
    return Matched(cosines.max(1), partners, paired)


def _paired(cosines: Float[NDArray[np.float32], "n m"]) -> Int[NDArray[np.int64], " n"]:
    """Return each row's partner when the nearest pair that is left is paired, again and again; -1 where none is left.

    Two that are each other's nearest among those left are paired whatever happens elsewhere, so all such are paired at once.
    """
    left, partners = cosines.copy(), np.full(len(cosines), -1)
    for _ in range(min(cosines.shape)):
        best, back = left.argmax(1), left.argmax(0)
        rows = np.nonzero((partners < 0) & (back[best] == np.arange(len(left))) & (left.max(1) > -np.inf))[0]
        if not len(rows):
            break
        partners[rows] = best[rows]
        left[rows], left[:, best[rows]] = -np.inf, -np.inf
    return partners
