"""Cross entropy of a large vocabulary without its logits ever lying in memory at once."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Logits formed at a time: few enough to stay near the processor, enough for a product at full speed.
_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 27}


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
        narrow, rows = weight.to(dtype), _rows_at_once(weight)
        nats, d_x, d_weight = scale.new_zeros(()), torch.empty_like(x), torch.zeros_like(weight)
        for first in range(0, len(x), rows):
            part = x[first : first + rows].to(dtype)
            wide = (part @ narrow.T).float()
            nats += _turn_into_gradient(wide, targets[first : first + rows])
            d_logits = wide.mul_(scale).to(dtype)
            d_x[first : first + rows] = d_logits @ narrow
            _add_product(d_weight, d_logits, part)
        ctx.save_for_backward(d_x, d_weight)
        return nats * scale

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        d_x, d_weight = ctx.saved_tensors
        (factor,) = upstream
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
    return max(_AT_ONCE.get(weight.device.type, 1 << 22) // len(weight), 64)


def _turn_into_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross entropy; the logits become its gradient, softmax minus one at the target."""
    at_target = logits.gather(1, targets[:, None])
    largest = logits.amax(1, keepdim=True)
    total = logits.sub_(largest).exp_().sum(1, keepdim=True)
    logits.div_(total)
    logits.scatter_add_(1, targets[:, None], -torch.ones_like(at_target))
    return (total.log() + largest - at_target).sum()


def _add_product(d_weight: Tensor, d_logits: Tensor, part: Tensor) -> None:
    if d_weight.dtype == d_logits.dtype:
        d_weight.addmm_(d_logits.T, part)
    else:
        d_weight.add_(d_logits.T @ part)
