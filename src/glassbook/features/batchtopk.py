"""BatchTopK: the k largest pre-activations a row on average over the batch (Bussmann et al. 2024, 2412.06410).

In training the k B largest of the B rows together are the features, so that one row may have more of them than another. At use
a row must not depend on its neighbors:
    f = pre where pre >= threshold, else 0,   pre = x W_enc + b_enc
where the threshold is the running mean, over training, of the smallest value that a batch kept.
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.objective import Learned, Step
from glassbook.features.topk import check_uniform, checked_k


@DICTIONARIES.add("batchtopk")
class BatchTopK(Dictionary):
    """The k largest a row on average over the batch; at use, whatever reaches the threshold."""

    kind = "batchtopk"
    float32 = ("threshold",)
    threshold: Float[Tensor, ""]

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, k: int = 32) -> None:
        super().__init__(d_in, n_features, d_out)
        self.k = checked_k(k, n_features)
        self.register_buffer("threshold", torch.tensor(0.0))

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return what is above 0 and reaches the threshold."""
        return torch.where(pre.float() >= self.threshold, pre.relu(), 0)

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        active, limit = self.encoding(x, step).top_of_batch(self.k * step.n_rows)
        return replace(self.learned(active, active.values, target), limit=limit)

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        check_uniform(self.kind, factors)
        super().rescale(factors)
        self.threshold.mul_(factors[0])
