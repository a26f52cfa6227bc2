"""Which features are active in a batch, held in one of two forms with the same operations.

`Listed` has an entry for each active feature of each row, `Whole` a number for every feature of every row. Objectives are
written once against what both can do; on a CPU lists are faster while few features are active, elsewhere wholes are.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glassbook.features.sparse_products import Places, bag_sums


class Listed:
    """Active features as a list; `values` are their pre-activations, which carry gradients to the encoder."""

    def __init__(self, places: Places, values: Float[Tensor, " entries"]) -> None:
        self.places, self.values = places, values

    def only(self, values: Float[Tensor, " entries"]) -> Float[Tensor, " entries"]:
        """Return values that are 0 wherever no feature is listed: all of a list."""
        return values

    def of_features(self, numbers: Float[Tensor, " n_features"]) -> Float[Tensor, " entries"]:
        """Return each entry's feature's number."""
        return numbers.index_select(0, self.places.features)

    def weighed(self, values: Float[Tensor, " entries"], weights: Float[Tensor, " n_features"]) -> Float[Tensor, ""]:
        """Return the sum of the values, each times its feature's weight."""
        return (values * self.of_features(weights)).sum()

    def decode(
        self, values: Float[Tensor, " entries"], decoder: Float[Tensor, "n_features d_out"]
    ) -> Float[Tensor, "batch d_out"]:
        """Return for each row the sum of its features' directions times their values."""
        return bag_sums(values, decoder, self.places)

    def decode_nested(
        self, values: Float[Tensor, " entries"], decoder: Float[Tensor, "n_features d_out"], sizes: Sequence[int]
    ) -> Float[Tensor, "batch size d_out"]:
        """Return what `decode` gives with the first features alone, for each of `sizes`, which grow."""
        n_parts, places = len(sizes), self.places
        parts = torch.bucketize(places.features, torch.tensor(sizes), right=True)
        inside = places.with_bags(places.bags * n_parts + parts, places.n_bags * n_parts)
        return bag_sums(values, decoder, inside).view(places.n_bags, n_parts, -1).cumsum(1)

    def counts(self, is_active: Bool[Tensor, " entries"]) -> Int[Tensor, " n_features"]:
        """Return in how many rows each feature is active."""
        return torch.bincount(self.places.features[is_active], minlength=self.places.n_features)


class Whole:
    """Active features as numbers for all of them, 0 where `mask` is False; without a mask what is above 0 is active.

    `dtype` is the precision in which their product with the decoder is formed.
    """

    def __init__(
        self,
        pre: Float[Tensor, "batch n_features"],
        mask: Bool[Tensor, "batch n_features"] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dtype = dtype
        # A ReLU costs a third of what a mask does, forward and back.
        self.mask = pre.detach() > 0 if mask is None else mask
        self.values = pre.relu() if mask is None else self.only(pre)

    def only(self, values: Float[Tensor, "batch n_features"]) -> Float[Tensor, "batch n_features"]:
        """Return the values with 0 wherever the mask is False."""
        return torch.where(self.mask, values, 0)

    def of_features(self, numbers: Float[Tensor, " n_features"]) -> Float[Tensor, " n_features"]:
        """Return the numbers as they stand: they go with every row."""
        return numbers

    def weighed(
        self, values: Float[Tensor, "batch n_features"], weights: Float[Tensor, " n_features"]
    ) -> Float[Tensor, ""]:
        """Return the sum of the values, each times its feature's weight."""
        # Rows first: so nothing as large as the batch is formed, forward or back.
        return values.sum(0) @ weights

    def decode(
        self, values: Float[Tensor, "batch n_features"], decoder: Float[Tensor, "n_features d_out"]
    ) -> Float[Tensor, "batch d_out"]:
        """Return for each row the sum of its features' directions times their values."""
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.dtype is torch.bfloat16):
            return (values @ decoder).to(values.dtype)

    def decode_nested(
        self,
        values: Float[Tensor, "batch n_features"],
        decoder: Float[Tensor, "n_features d_out"],
        sizes: Sequence[int],
    ) -> Float[Tensor, "batch size d_out"]:
        """Return what `decode` gives with the first features alone, for each of `sizes`, which grow."""
        parts = [self.decode(values[:, first:stop], decoder[first:stop]) for first, stop in pairwise((0, *sizes))]
        return torch.stack(parts, 1).cumsum(1)

    def counts(self, is_active: Bool[Tensor, "batch n_features"]) -> Int[Tensor, " n_features"]:
        """Return in how many rows each feature is active."""
        return is_active.sum(0, dtype=torch.int32).long()


Active = Listed | Whole
