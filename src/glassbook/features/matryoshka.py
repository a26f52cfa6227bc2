"""Matryoshka BatchTopK: the first features must reconstruct by themselves (Bussmann et al. 2025, 2503.17547).

    loss = mean over the sizes m of |x - (f_1..m W_dec_1..m + b_dec)|^2,   f as in BatchTopK, chosen once over all features
The features of a small size cannot leave the general to those that come after, so they are not split or absorbed by them.
"""

from itertools import pairwise
from typing import Any

from jaxtyping import Float
from torch import Tensor

from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import DICTIONARIES
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step
from glassbook.features.sparse_products import squared_error


@DICTIONARIES.add("matryoshka-batchtopk")
class MatryoshkaBatchTopK(BatchTopK):
    """BatchTopK over nested dictionaries; by default of a sixteenth, an eighth, a quarter, a half and all features."""

    kind = "matryoshka-batchtopk"

    def __init__(
        self,
        d_in: int,
        n_features: int,
        d_out: int | None = None,
        *,
        k: int = 32,
        sizes: list[int] | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(d_in, n_features, d_out, k=k)
        halves = [n_features >> i for i in range(4, -1, -1)]
        self.sizes = tuple(dict.fromkeys(size for size in halves if size)) if sizes is None else tuple(sizes)
        if any(first >= second for first, second in pairwise((0, *self.sizes))) or self.sizes[-1:] != (n_features,):
            raise DictionaryError(
                f"sizes {self.sizes} do not grow from above 0 to all {n_features} features; mend them"
            )

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k, "sizes": list(self.sizes)}

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        active, limit = self.encoding(x, step).top_of_batch(self.k * step.n_rows)
        nested = active.decode_nested(active.values, self.decoder, self.sizes)
        summed, residuals = squared_error(nested, (target - self.b_dec)[:, None].expand_as(nested))
        residual = residuals[:, -1]
        counts = active.counts(active.values.detach() > 0)
        return Learned(summed / len(self.sizes), residual.square().sum(), residual, counts, limit)
