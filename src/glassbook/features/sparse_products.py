"""Products that touch active features only: what a dense product with a code that is 99 % zeros would give, without the zeros.

A code is a list of entries, each a feature, its value and the bag that it belongs to, in the order of the bags; a bag is a row
of the batch, or a part of one. Two operations make everything: sums of weighted rows over each bag, and dot products of rows with
bags. The gradient of a weight is the first of them again, with bags and features exchanged.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(slots=True)
class Places:
    """Where a code's entries are; sorted by bag, and, when first asked for, by feature."""

    bags: Int[Tensor, " entries"]
    features: Int[Tensor, " entries"]
    n_bags: int
    n_features: int
    _starts: Tensor | None = field(default=None, repr=False)
    _by_feature: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    @property
    def starts(self) -> Int[Tensor, " n_bags"]:
        """Return where each bag's entries begin."""
        if self._starts is None:
            self._starts = _starts(self.bags, self.n_bags)
        return self._starts

    @property
    def by_feature(self) -> tuple[Int[Tensor, " entries"], Int[Tensor, " n_features"]]:
        """Return the order of the entries by feature, and where each feature's begin."""
        if self._by_feature is None:
            # In 32 bits it sorts twice as fast; there are never 2^31 features.
            order = self.features.to(torch.int32).argsort(stable=True)
            self._by_feature = order, _starts(self.features, self.n_features)
        return self._by_feature

    def with_bags(self, bags: Int[Tensor, " entries"], n_bags: int) -> "Places":
        """Return the same entries in other bags, which must keep their order."""
        return Places(bags, self.features, n_bags, self.n_features, _by_feature=self._by_feature)


def bag_sums(
    values: Float[Tensor, " entries"], weight: Float[Tensor, "n_features d"], places: Places
) -> Float[Tensor, "n_bags d"]:
    """Return for each bag the sum of its features' rows of `weight`, each times its value; both get gradients."""
    return _BagSums.apply(values, weight, places)


def row_products(
    x: Float[Tensor, "n_bags d"],
    weight: Float[Tensor, "n_features d"],
    bias: Float[Tensor, " n_features"],
    places: Places,
    known: Float[Tensor, " entries"] | None = None,
) -> Float[Tensor, " entries"]:
    """Return for each entry the product of its bag's row of `x` and its feature's of `weight`, plus the bias.

    Where the products are `known` from a dense one they are taken. `weight` and `bias` get gradients, `x` does not.
    """
    return _RowProducts.apply(x, weight, bias, places, known)


class _BagSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, places: Places) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.places = places
        return F.embedding_bag(places.features, weight, places.starts, mode="sum", per_sample_weights=values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (values, weight), (gradient,) = ctx.saved_tensors, gradients
        gradient = gradient.contiguous()
        of_values = _dots(gradient, weight, ctx.places) if ctx.needs_input_grad[0] else None
        of_weight = _feature_sums(values, gradient, ctx.places) if ctx.needs_input_grad[1] else None
        return of_values, of_weight, None


class _RowProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, places: Places, known: Tensor | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.places = places
        if known is not None:
            return known.clone()
        return _dots(x, weight, places).add_(bias.index_select(0, places.features))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x,), (gradient,) = ctx.saved_tensors, gradients
        of_weight = _feature_sums(gradient, x, ctx.places)
        of_bias = x.new_zeros(ctx.places.n_features).index_add_(0, ctx.places.features, gradient)
        return None, of_weight, of_bias, None, None


def squared_error(
    reconstruction: Float[Tensor, "*batch d"], target: Float[Tensor, "*batch d"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "*batch d"]]:
    """Return the squares of target - reconstruction summed, with gradients to both, and the difference, without."""
    return _SquaredError.apply(reconstruction, target)


class _SquaredError(torch.autograd.Function):
    # By itself autograd would keep and write several more tensors of this size.
    @staticmethod
    def forward(ctx: Any, reconstruction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        residual = target - reconstruction
        ctx.save_for_backward(residual)
        ctx.mark_non_differentiable(residual)
        flat = residual.view(-1)
        return flat.dot(flat), residual

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (residual,) = ctx.saved_tensors
        of_target = residual * (2 * gradients[0]) if ctx.needs_input_grad[1] else None
        return residual * (-2 * gradients[0]), of_target


def _dots(rows: Float[Tensor, "n_bags d"], weight: Float[Tensor, "n_features d"], places: Places) -> Tensor:
    """Return <row of the bag, row of the feature> for each entry."""
    # The backward of embedding_bag is the one operation of PyTorch that forms these without copies of both rows.
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(
        rows, weight, places.features, places.starts, places.bags, 0
    )


def _feature_sums(values: Tensor, rows: Float[Tensor, "n_bags d"], places: Places) -> Float[Tensor, "n_features d"]:
    """Return for each feature the sum of its entries' bags' rows, each times its value."""
    order, starts = places.by_feature
    return F.embedding_bag(
        places.bags.index_select(0, order), rows, starts, mode="sum", per_sample_weights=values.index_select(0, order)
    )


def _starts(numbers: Int[Tensor, " entries"], n: int) -> Int[Tensor, " n"]:
    counts = torch.bincount(numbers, minlength=n)
    return counts.cumsum(0) - counts
