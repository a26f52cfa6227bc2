"""The matrix products of every model here, in the precision that this machine multiplies fastest."""

from jaxtyping import Float, Int
from torch import Tensor, bfloat16, nn
from torch.nn import functional as F

from glassbook.core.devices import widens_bfloat16
from glassbook.models.native.products import product, takes
from glassbook.models.part import Part

# Below this many rows a product is bound by reading the weights, and widening them would triple the traffic.
_WIDENED_ROWS = 32


def is_widened(x: Tensor, rows: int) -> bool:
    """Return whether a bfloat16 product over this many rows is computed in float32 here."""
    return x.dtype is bfloat16 and rows >= _WIDENED_ROWS and x.device.type == "cpu" and widens_bfloat16()


class Linear(Part, nn.Linear):
    """An affine map whose large bfloat16 products are widened where that is faster."""

    @property
    def held(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the weight as it lies in memory, the scales of its rows if it has any, and the bias."""
        return self.weight, None, self.bias

    def forward(self, x: Float[Tensor, "*lead d_in"]) -> Float[Tensor, "*lead d_out"]:
        """Return `x @ weight.T + bias` in the precision of `x`."""
        return linear(x, self.weight, self.bias)


class Embedding(Part, nn.Embedding):
    """A row for each token; where the unembedding is tied to it, the same rows score the next one."""

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """Return the row of each token."""
        return F.embedding(tokens, self.weight)

    def score(self, x: Float[Tensor, "*lead d_model"]) -> Float[Tensor, "*lead d_vocab"]:
        """Return the product of `x` with the row of every token."""
        return linear(x, self.weight)


def linear(
    x: Float[Tensor, "*lead d_in"], weight: Float[Tensor, "d_out d_in"], bias: Float[Tensor, " d_out"] | None = None
) -> Float[Tensor, "*lead d_out"]:
    """Return `x @ weight.T + bias`; see `is_widened` for bfloat16."""
    if takes(x, weight):
        return product(x, weight, None, bias)
    if is_widened(x, x.numel() // x.shape[-1]):
        wide = F.linear(x.float(), weight.float(), None if bias is None else bias.float())
        return wide.to(x.dtype)
    return F.linear(x, weight, bias)
