"""AdamW as language models are trained with it: decay on matrices alone, all in one kernel, its state as named tensors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from glassbook.core.errors import FileFormatError


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters that learn in two groups: decay for tensors of two axes or more, none for biases and norms."""
    learning = [weight for weight in net.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in learning if weight.ndim >= 2], "weight_decay": weight_decay},
        {"params": [weight for weight in learning if weight.ndim < 2], "weight_decay": 0.0},
    ]


def adamw(net: nn.Module, lr: float, weight_decay: float, betas: tuple[float, float], eps: float) -> torch.optim.AdamW:
    """Return AdamW, Loshchilov and Hutter 2017 (1711.05101), algorithm 2, over `parameter_groups`."""
    # Fused, it reads and writes each number once; the loop over separate operations takes about ten times as long.
    return torch.optim.AdamW(parameter_groups(net, weight_decay), lr=lr, betas=betas, eps=eps, fused=True)


def clip_gradients(weights: Iterable[Tensor], limit: float) -> float:
    """Return the norm of all gradients together, and shorten them to `limit` where it is longer; 0 sets no limit."""
    weights = [weight for weight in weights if weight.grad is not None]
    total = get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    norm = total.item()
    if limit and norm > limit:
        clip_grads_with_norm_(weights, limit, total)
    return norm


def optimizer_state(optimizer: torch.optim.Optimizer, net: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's averages as `<parameter>/<average>`."""
    return {
        f"{name}/{kind}": value
        for name, weight in net.named_parameters()
        for kind, value in optimizer.state.get(weight, {}).items()
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the averages of `optimizer_state` back; raise FileFormatError for one of no parameter."""
    weights = dict(net.named_parameters())
    optimizer.state.clear()
    for key, value in state.items():
        name, _, kind = key.rpartition("/")
        if name not in weights:
            raise FileFormatError(f"the checkpoint has averages of '{name}', which this network has not; train it anew")
        # A copy, because the optimizer writes into it.
        kept = value.clone() if kind == "step" else value.to(weights[name].device, copy=True)
        optimizer.state[weights[name]][kind] = kept
