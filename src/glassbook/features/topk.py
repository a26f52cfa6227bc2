"""TopK: the k largest pre-activations are the features (Makhzani and Frey 2013, 1312.5663; Gao et al. 2024, 2406.04093).

    f = TopK(x W_enc + b_enc),   loss = |x - (f W_dec + b_dec)|^2
Every input has exactly k features (fewer where less than k are above 0), so no penalty shrinks their values.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step


@DICTIONARIES.add("topk")
class TopK(Dictionary):
    """The k largest of each row, as far as they are above 0."""

    kind = "topk"

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, k: int = 32) -> None:
        super().__init__(d_in, n_features, d_out)
        self.k = checked_k(k, n_features)

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the k largest and 0 for the rest."""
        values, indices = pre.topk(self.k, dim=-1)
        return torch.zeros_like(pre).scatter(-1, indices, values.relu())

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        active = self.encoding(x, step).top_of_rows(self.k)
        return self.learned(active, active.values.relu(), target)

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        check_uniform(self.kind, factors)
        super().rescale(factors)


def checked_k(k: int, n_features: int) -> int:
    """Return k; raise DictionaryError unless it is from 1 to the number of features."""
    if not 1 <= k <= n_features:
        raise DictionaryError(f"k = {k} of {n_features} features cannot be active; give 1 to {n_features}")
    return k


def check_uniform(kind: str, factors: Float[Tensor, " n_features"]) -> None:
    """Raise DictionaryError where factors differ: which values are the largest would then change."""
    if not torch.equal(factors, factors[:1].expand_as(factors)):
        raise DictionaryError(
            f"the features of a {kind} dictionary cannot be rescaled each by its own factor, since the largest are chosen "
            "across them; give one factor for all"
        )
