"""Weights held as 8-bit integers: a quarter of float32's memory, and a quarter of what each generated token must read."""

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.models.linear import Embedding, Linear
from glassbook.models.native.products import product, takes

_LARGEST = 127
# What a piece of a matrix becomes in float32 stays in the second-level cache between the two steps.
_PIECE = 1 << 18
# Up to here PyTorch's own product of few rows, which rounds what it reads and writes to bfloat16, is the faster one.
_FEW_ROWS = 16
# That product reads whole vectors, and beyond the end of a matrix that is no multiple of them.
_WHOLE = 64

Held = tuple[Tensor, Tensor]


def quantize(weight: Float[Tensor, "d_out d_in"]) -> tuple[Int8[Tensor, "d_out d_in"], Float[Tensor, " d_out"]]:
    """Return the weight as integers from -127 to 127 and one scale a row: weight = integers * scale, rounded.

    Symmetric and by row, as LLM.int8() holds weights, Dettmers et al. 2022 (2208.07339), section 2.1. A row of zeros has
    the scale 0.
    """
    wide = weight.float()
    scales = wide.abs().amax(1) / _LARGEST
    divisors = torch.where(scales > 0, scales, 1.0)
    return (wide / divisors.unsqueeze(1)).round_().to(torch.int8), scales


def dequantize(integers: Int8[Tensor, "d_out d_in"], scales: Float[Tensor, " d_out"]) -> Float[Tensor, "d_out d_in"]:
    """Return the weight that integers and scales stand for."""
    return integers.float() * scales.unsqueeze(1)


def int8_linear(
    x: Float[Tensor, "*lead d_in"],
    integers: Int8[Tensor, "d_out d_in"],
    scales: Float[Tensor, " d_out"],
    bias: Float[Tensor, " d_out"] | None = None,
) -> Float[Tensor, "*lead d_out"]:
    """Return `x @ weight.T + bias` for a weight held as integers and scales."""
    if takes(x, integers):
        return product(x, integers, scales, bias)
    rows = x.reshape(-1, x.shape[-1])
    if (torch.is_grad_enabled() and x.requires_grad) or x.device.type != "cpu":
        return F.linear(x, dequantize(integers, scales), bias)
    if 1 <= len(rows) <= _FEW_ROWS and not any(size % _WHOLE for size in integers.shape):
        narrow = torch.bfloat16
        y = torch._weight_int8pack_mm(rows.to(narrow), integers, scales.to(narrow)).to(x.dtype)
    else:
        y = by_pieces(rows, integers, scales)
    return (y if bias is None else y + bias).view(*x.shape[:-1], len(integers))


def by_pieces(
    rows: Float[Tensor, "row d_in"], integers: Int8[Tensor, "d_out d_in"], scales: Float[Tensor, " d_out"]
) -> Float[Tensor, "row d_out"]:
    """Return `rows @ weight.T` in float32, with never more than a piece of the weight in float32."""
    y = rows.new_empty(len(rows), len(integers))
    step = max(1, _PIECE // integers.shape[1])
    for piece, out in zip(integers.split(step), y.split(step, 1), strict=True):
        torch.mm(rows, piece.to(rows.dtype).T, out=out)
    return y.mul_(scales)


class Int8Linear(Linear):
    """An affine map whose weight is held as int8; it reads and writes float32."""

    def __init__(self, held: Held, bias: Tensor | None) -> None:
        nn.Module.__init__(self)
        self.integers, self.scales = _frozen(held)
        self.bias = bias  # type: ignore[assignment]
        self.out_features, self.in_features = self.integers.shape

    @property
    def weight(self) -> Float[Tensor, "d_out d_in"]:  # type: ignore[override]
        """Return the weight in float32, formed anew each time."""
        return dequantize(self.integers, self.scales)

    @property
    def held(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the integers, the scales of their rows, and the bias."""
        return self.integers, self.scales, self.bias

    def forward(self, x: Float[Tensor, "*lead d_in"]) -> Float[Tensor, "*lead d_out"]:
        """Return `x @ weight.T + bias`."""
        return int8_linear(x, self.integers, self.scales, self.bias)


class Int8Embedding(Embedding):
    """A token embedding held as int8; each row that is looked up is dequantized alone."""

    def __init__(self, held: Held) -> None:
        nn.Module.__init__(self)
        self.integers, self.scales = _frozen(held)
        self.num_embeddings, self.embedding_dim = self.integers.shape

    @property
    def weight(self) -> Float[Tensor, "d_vocab d_model"]:  # type: ignore[override]
        """Return the embedding in float32, formed anew each time."""
        return dequantize(self.integers, self.scales)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """Return the row of each token."""
        return self.integers[tokens].float() * self.scales[tokens].unsqueeze(-1)

    def score(self, x: Float[Tensor, "*lead d_model"]) -> Float[Tensor, "*lead d_vocab"]:
        """Return the product of `x` with the row of every token."""
        return int8_linear(x, self.integers, self.scales)


def hold_in_int8(net: nn.Module) -> None:
    """Put an int8 one in the place of every linear map and token embedding of a network; the rest stays as it is."""
    for name, part in list(net.named_modules()):
        if type(part) is Linear:
            net.set_submodule(name, Int8Linear(quantize(part.weight), part.bias))
        elif type(part) is Embedding:
            net.set_submodule(name, Int8Embedding(quantize(part.weight)))


def fill_in_int8(net: nn.Module, name: str, weight: Tensor) -> None:
    """Put a float32 weight in the place of the parameter `name`, as int8 where its part holds int8."""
    owner, _, own_name = name.rpartition(".")
    part = net.get_submodule(owner)
    if own_name == "weight" and isinstance(part, Int8Linear | Int8Embedding):
        part.integers, part.scales = _frozen(quantize(weight))
    else:
        setattr(part, own_name, nn.Parameter(weight, requires_grad=False))


def _frozen(held: Held) -> tuple[nn.Parameter, nn.Parameter]:
    integers, scales = held
    return nn.Parameter(integers, requires_grad=False), nn.Parameter(scales, requires_grad=False)
