"""Several passes through the same blocks, side by side: each block's weights are read, and widened, once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from glassbook.core.taps import Taps
from glassbook.models.attention import KVCache
from glassbook.models.linear import is_widened
from glassbook.models.transformer import Transformer

# The weights of a block are widened for all passes at once only where they take less than a quarter of a gigabyte.
_MOST_WIDENED = 1 << 26


@dataclass(slots=True)
class Climber:
    """One pass on its way up: the stream where it stands, and what it is given at every block."""

    resid: Float[Tensor, "batch pos d_model"]
    positions: Int[Tensor, "batch pos"]
    taps: Taps
    cache: KVCache | None = None


def climb_together(net: Transformer, climbers: Sequence[Climber], first_layer: int) -> None:
    """Take every climber through the blocks from `first_layer` to the last, all of them through one before the next.

    In each block they go in their order, so that one may look back at keys that another before it has just written.
    Streams of bfloat16 whose products would be widened stay in float32 on the whole way and are rounded once at its end:
    nearer the truth, and nothing is converted to and fro.
    """
    dtype = climbers[0].resid.dtype
    n_rows = sum(one.positions.numel() for one in climbers)
    is_wide = is_widened(climbers[0].resid, n_rows) and _largest_block(net) <= _MOST_WIDENED
    for one in climbers:
        one.resid = one.resid.to(torch.float32) if is_wide else one.resid
    given = [net.given(one.resid, one.positions, one.cache) for one in climbers]
    for layer in range(first_layer, net.config.n_layers):
        block = net.blocks[layer]
        wide = {name: weight.to(torch.float32) for name, weight in block.named_parameters()} if is_wide else {}
        for one, own in zip(climbers, given, strict=True):
            values = (one.resid, one.taps.at(layer), *own[layer], one.cache)
            one.resid = functional_call(block, wide, values) if is_wide else block(*values)
    for one in climbers:
        one.resid = one.resid.to(dtype)


def _largest_block(net: Transformer) -> int:
    return max(sum(weight.numel() for weight in block.parameters()) for block in net.blocks)
