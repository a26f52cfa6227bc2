"""How much work training is, and how much of it this machine could do."""

import time
from functools import cache

import torch
from torch import nn

from glassbook.core.devices import widens_bfloat16
from glassbook.models.mixtral import MixtralConfig
from glassbook.models.network import Network

_SIDE = 2048
_ROUNDS = 5


def flop_per_token(net: Network, context: int) -> float:
    """Return the operations that learning from one token takes: 6 N + 12 n_layers n_heads d_head context.

    The count of Chowdhery et al. 2022 (2204.02311), appendix B: forward and backward, attention as if it were not causal.
    N is the number of parameters that multiply each token: embeddings only where they score tokens too.
    """
    c = net.config
    return 6 * multiplying_parameters(net) + 12 * c.n_layers * c.n_heads * c.d_head * context


def multiplying_parameters(net: Network) -> int:
    """Return how many parameters a token is multiplied with; of a mixture's experts, those that it meets."""
    config = net.config
    looked_up = {
        id(part.weight)
        for name, part in net.named_modules()
        if isinstance(part, nn.Embedding) and not (config.tied_embeddings and name == "embed")
    }
    total = 0
    for name, weight in net.named_parameters():
        met = config.top_k / config.n_experts if isinstance(config, MixtralConfig) and ".experts." in name else 1
        total += 0 if id(weight) in looked_up else round(weight.numel() * met)
    return total


def fastest_dtype(device: torch.device) -> str:
    """Return the precision in which products are fastest here without harm to what is learned: float32 or bfloat16.

    A rule about the processor, as in decisions/003-bfloat16-products.md, so that a machine always rounds the same way.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "float32" if widens_bfloat16() else "bfloat16"


@cache
def measured_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Return the operations a second of a large square product here, the best of a few, with the threads at hand."""
    left = torch.ones(_SIDE, _SIDE, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(_ROUNDS + 1):
        _wait(device)
        start = time.perf_counter()
        left @ left
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * _SIDE**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
