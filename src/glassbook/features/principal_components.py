"""PCA as a dictionary: the directions of most variance, of which each input keeps the k that it lies along most.

    f = the k of (x - mean) V with the largest magnitudes,   y = f V^T + mean
V is orthonormal, so no other k of its directions come nearer to x. Features have both signs.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.topk import check_uniform, checked_k


@DICTIONARIES.add("pca")
class PrincipalComponents(Dictionary):
    """The first principal components; all of them are kept where `k` is None."""

    kind = "pca"
    is_reference = True

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, k: int | None = None) -> None:
        super().__init__(d_in, n_features, d_out)
        if self.d_out != d_in or n_features > d_in:
            raise DictionaryError(
                f"{d_in} coordinates have at most {d_in} principal components, which decode into the same coordinates; "
                f"not {n_features} that decode into {self.d_out}"
            )
        self.k = None if k is None else checked_k(k, n_features)

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the k of the largest magnitude and 0 for the rest."""
        if self.k is None:
            return pre
        indices = pre.abs().topk(self.k, dim=-1).indices
        return torch.zeros_like(pre).scatter(-1, indices, pre.gather(-1, indices))

    @torch.no_grad()
    def fit(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Take mean and components of a sample."""
        x = self.checked(sample).double()
        mean = x.mean(0)
        centered = x - mean
        # Ascending; the last are those of most variance.
        directions = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, : self.n_features].T
        self.encoder.copy_(directions)
        self.decoder.copy_(directions)
        self.b_enc.copy_(-directions @ mean)
        self.b_dec.copy_(mean)

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        check_uniform(self.kind, factors)
        super().rescale(factors)
