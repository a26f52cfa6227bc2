"""Orthogonal matching pursuit: how well could these directions do (Pati, Rezaiifar and Krishnaprasad 1993)?

Direction after direction is taken, each the one that the rest lies along most, and all values are fitted anew each time. On the
decoder of a trained dictionary it tells what the encoder loses against a search. Features have both signs.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.topk import checked_k

_SMALL = 1e-6
"""How long the rest must be, against the input, for another direction to be taken; and what keeps equal directions apart."""


@DICTIONARIES.add("omp")
class MatchingPursuit(Dictionary):
    """At most k directions of a given decoder for each input; `of` makes it from another dictionary."""

    kind = "omp"
    is_reference = True

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, k: int = 32) -> None:
        super().__init__(d_in, n_features, d_out)
        if self.d_out != d_in:
            raise DictionaryError("matching pursuit searches in what it reconstructs; leave out d_out")
        self.k = checked_k(k, n_features)

    @classmethod
    def of(cls, dictionary: Dictionary, k: int) -> "MatchingPursuit":
        """Return the search over another dictionary's directions, with its bias."""
        made = cls(dictionary.d_in, dictionary.n_features, dictionary.d_out, k=k)
        with torch.no_grad():
            made.decoder.copy_(dictionary.decoder)
            made.b_dec.copy_(dictionary.b_dec)
        return made

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    def pre_activations(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch n_features"]:
        """Return how far x lies along each direction; that is what the search begins with."""
        return (x - self.b_dec) @ self._directions().T

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch n_features"]:
        """Return the values of at most k directions, fitted together."""
        target = (self.checked(x) - self.b_dec).reshape(-1, self.d_in)
        chosen, taken = self._search(target.detach())
        values = self._fitted(self._directions()[chosen] * taken[..., None], target)
        lengths = self.decoder.norm(dim=-1)[chosen]
        whole = target.new_zeros(len(target), self.n_features)
        return whole.scatter_add(-1, chosen, values / lengths.clamp(min=_SMALL)).view(*x.shape[:-1], self.n_features)

    @torch.no_grad()
    def _search(self, target: Float[Tensor, "n d_in"]) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
        """Return k directions for each row, and 1 for those that were needed."""
        directions, (n, d) = self._directions(), target.shape
        chosen = torch.zeros(n, self.k, dtype=torch.int64, device=target.device)
        taken = target.new_zeros(n, self.k)
        # Each step adds one row to what the steps before it gathered and multiplied.
        rows, products = target.new_zeros(n, self.k, d), target.new_zeros(n, self.k, self.k)
        rest, length = target, target.norm(dim=-1)
        for i in range(self.k):
            along = (rest @ directions.T).abs_().scatter_(-1, chosen[:, :i], -1.0)
            chosen[:, i] = along.argmax(-1)
            taken[:, i] = rest.norm(dim=-1) > _SMALL * length
            rows[:, i] = directions[chosen[:, i]] * taken[:, i, None]
            so_far = rows[:, : i + 1]
            with_last = torch.einsum("nkd,nd->nk", so_far, rows[:, i])
            products[:, i, : i + 1] = products[:, : i + 1, i] = with_last
            values = _solved(products[:, : i + 1, : i + 1], torch.einsum("nkd,nd->nk", so_far, target))
            rest = target - torch.einsum("nk,nkd->nd", values, so_far)
        return chosen, taken

    def _fitted(self, directions: Float[Tensor, "n k d"], target: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the values at which each row's directions come nearest to it."""
        return _solved(directions @ directions.transpose(1, 2), torch.einsum("nkd,nd->nk", directions, target))

    def _directions(self) -> Float[Tensor, "n_features d_out"]:
        return self.decoder / self.decoder.norm(dim=-1, keepdim=True).clamp(min=_SMALL)

    def fit(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Take nothing from the sample: the directions are another dictionary's."""
        self.checked(sample)


def _solved(products: Float[Tensor, "n k k"], along: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return the least squares values of directions, of which the products with each other and with the row are given."""
    ridge = _SMALL * torch.eye(along.shape[1], device=along.device, dtype=along.dtype)
    return torch.linalg.solve(products + ridge, along)
