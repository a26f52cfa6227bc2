"""One new token through many blocks in a single call of the kernel, wherever nobody reads or edits them.

The way through a block is written in the architecture's file; this is the same way without the 25 calls of PyTorch that a
block of one token costs. Tests hold it to that file.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.models.native.library import Block, Pass, kernel
from glassbook.models.native.products import FEW_ROWS, KINDS, matrix_of

_WIDEST_HEAD = 512


@dataclass(frozen=True, slots=True)
class BlockParts:
    """What the kernel reads of a block: its norms, its four matrices, each (weight, scales, bias), and the norms' epsilon."""

    norm1: Tensor
    norm2: Tensor
    matrices: tuple[tuple[Tensor, Tensor | None, Tensor | None], ...]
    eps: float


class Steps:
    """The blocks of a network laid out for the kernel, over one cache."""

    def __init__(self, parts: Sequence[BlockParts], config: Any, cache: Any) -> None:
        self.cache, self.config = cache, config
        # Kept, since the kernel only knows where they lie.
        self.kept = [_widened(one) for one in parts]
        self.blocks = (Block * len(parts))(*(_block(one) for one in self.kept))
        self.keys_at = 0

    def run(
        self,
        layers: range,
        resid: Float[Tensor, "batch 1 d_model"],
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
    ) -> Float[Tensor, "batch 1 d_model"]:
        """Return the residual stream after these blocks; their new keys and values are in the cache."""
        library, cache, c = kernel(), self.cache, self.config
        assert library is not None, "made only where the kernel is"
        self._point_at_cache()
        stream = resid.to(torch.float32, copy=True).contiguous()
        cosines, sines = (one.to(torch.float32).contiguous() for one in angles)
        seen = None if mask is None else mask.expand(len(resid), -1, -1, -1).contiguous()
        one_pass = Pass(
            stream.data_ptr(), cosines.data_ptr(), sines.data_ptr(), None if seen is None else seen.data_ptr(),
            len(resid), c.d_model, c.n_heads, c.kv_heads, c.d_head, cache.keys.shape[3], cache.filled, KINDS[cache.keys.dtype],
        )  # fmt: skip
        library.glassbook_blocks(
            ctypes.byref(self.blocks[layers.start]), len(layers), ctypes.byref(one_pass), torch.get_num_threads()
        )
        return stream.to(resid.dtype)

    def _point_at_cache(self) -> None:
        """Tell the blocks where the cache lies: it moves when rows leave it."""
        keys, values = self.cache.keys, self.cache.values
        if keys.data_ptr() == self.keys_at:
            return
        stride = keys.stride(0) * keys.element_size()
        for layer, block in enumerate(self.blocks):
            block.keys, block.values = keys.data_ptr() + layer * stride, values.data_ptr() + layer * stride
        self.keys_at = keys.data_ptr()


def can_step(resid: Float[Tensor, "batch pos d_model"], cache: Any) -> bool:
    """Return whether this pass is one that the kernel could take through blocks."""
    return (
        resid.shape[1] == 1
        and len(resid) <= FEW_ROWS
        and kernel() is not None
        and resid.device.type == "cpu"
        and resid.dtype in (torch.float32, torch.bfloat16)
        and cache.keys.dtype in (torch.float32, torch.bfloat16)
        and cache.keys.shape[-1] <= _WIDEST_HEAD
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def _widened(parts: BlockParts) -> BlockParts:
    """Return the parts with norms and biases in float32, as the kernel reads them."""
    wide = torch.float32
    matrices = tuple(
        (weight, scales, None if bias is None else bias.to(wide)) for weight, scales, bias in parts.matrices
    )
    return BlockParts(parts.norm1.to(wide), parts.norm2.to(wide), matrices, parts.eps)


def _block(parts: BlockParts) -> Block:
    matrices = [matrix_of(*one) for one in parts.matrices]
    return Block(parts.norm1.data_ptr(), parts.norm2.data_ptr(), *matrices, None, None, parts.eps)
