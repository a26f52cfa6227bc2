"""Cross entropy of a large vocabulary without its logits ever lying in memory at once."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Logits formed at a time: each round reads and writes the gradient of the whole matrix, so the rounds must be few.
_AT_ONCE = {"cpu": 1 << 25, "cuda": 1 << 28}


class _SummedNats(torch.autograd.Function):
    """The loss with its gradients formed in the same pass, so that each logit is computed once and thrown away."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "n d_model"],
        weight: Float[Tensor, "d_vocab d_model"],
        targets: Int[Tensor, " n"],
        scale: Float[Tensor, ""],
        dtype: torch.dtype,
    ) -> Float[Tensor, ""]:
        narrow, rows, nats = weight.to(dtype), _rows_at_once(weight), scale.new_zeros(())
        d_x, d_weight = torch.empty_like(x), torch.empty_like(weight) if len(x) else torch.zeros_like(weight)
        for first in range(0, len(x), rows):
            part = x[first : first + rows].to(dtype)
            wide = (part @ narrow.T).float()
            nats += _turn_into_gradient(wide, targets[first : first + rows])
            d_logits = wide.to(dtype)
            d_x[first : first + rows] = (d_logits @ narrow) * scale
            # The scale goes where there is least to multiply; the first product overwrites what memory held.
            _add_product(d_weight, d_logits, (part * scale).to(dtype), is_first=first == 0)
        ctx.save_for_backward(d_x, d_weight)
        return nats * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        d_x, d_weight = ctx.saved_tensors
        (factor,) = upstream
        if factor.device.type == "cpu" and factor.item() == 1:
            return d_x, d_weight, None, None, None
        return d_x * factor, d_weight * factor, None, None, None


def summed_nats(
    x: Float[Tensor, "n d_model"],
    weight: Float[Tensor, "d_vocab d_model"],
    targets: Int[Tensor, " n"],
    scale: Float[Tensor, ""],
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, ""]:
    """Return `scale` times the summed cross entropy, in nats, of the logits `x @ weight.T`; products are in `dtype`."""
    with torch.autocast(x.device.type, enabled=False):
        if torch.is_grad_enabled():
            return _SummedNats.apply(x, weight, targets, scale, dtype)
        narrow, rows, nats = weight.to(dtype), _rows_at_once(weight), scale.new_zeros(())
        for first in range(0, len(x), rows):
            wide = (x[first : first + rows].to(dtype) @ narrow.T).float()
            nats += torch.nn.functional.cross_entropy(wide, targets[first : first + rows], reduction="sum")
        return nats * scale


def _rows_at_once(weight: Tensor) -> int:
    return max(_AT_ONCE.get(weight.device.type, 1 << 25) // len(weight), 64)


def _turn_into_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross entropy; the logits become its gradient, softmax minus one at the target."""
    at_target, largest = logits.gather(1, targets[:, None]), logits.amax(1, keepdim=True)
    torch.softmax(logits, 1, out=logits)
    # The likeliest token has a probability of 1 / total, which is never small enough to be lost.
    nats = largest - at_target - logits.amax(1, keepdim=True).log()
    logits.scatter_add_(1, targets[:, None], -torch.ones_like(at_target))
    return nats.sum()


def _add_product(d_weight: Tensor, d_logits: Tensor, part: Tensor, is_first: bool) -> None:
    if d_weight.dtype == d_logits.dtype:
        d_weight.addmm_(d_logits.T, part, beta=0 if is_first else 1)
    elif is_first:
        d_weight.copy_(d_logits.T @ part)
    else:
        d_weight.add_(d_logits.T @ part)
