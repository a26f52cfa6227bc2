"""Products of few rows, in the kernel: each weight is read once, and widened in registers."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.models.native.library import Matrix, kernel

KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
FEW_ROWS = 16
"""Rows that the kernel computes side by side; above, PyTorch's products of many rows are faster."""


def takes(x: Tensor, weight: Tensor) -> bool:
    """Return whether the kernel computes this product: one new token in each of a few rows.

    A prompt of few tokens is left to PyTorch, so that it is rounded as it is within a batch.
    """
    if torch.compiler.is_compiling() or (x.ndim > 1 and x.shape[-2] != 1):
        return False
    if x.numel() > FEW_ROWS * x.shape[-1] or not x.numel() or kernel() is None:
        return False
    if weight.device.type != "cpu" or weight.dtype not in KINDS or x.dtype not in (torch.float32, torch.bfloat16):
        return False
    needs_grad = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return weight.is_contiguous() and not needs_grad


def matrix_of(weight: Tensor, scales: Tensor | None = None, bias: Tensor | None = None) -> Matrix:
    """Return the weight as the kernel reads it; the tensors must outlive it, and scales and bias be float32."""
    return Matrix(
        weight.data_ptr(),
        None if scales is None else scales.data_ptr(),
        None if bias is None else bias.data_ptr(),
        *weight.shape,
        KINDS[weight.dtype],
    )


def product(
    x: Float[Tensor, "*lead d_in"], weight: Tensor, scales: Tensor | None = None, bias: Tensor | None = None
) -> Float[Tensor, "*lead d_out"]:
    """Return `x @ weight.T + bias`, summed in float32 and rounded once to the precision of `x`.

    Its twin in PyTorch is the same product in float32. The caller has asked `takes`.
    """
    library = kernel()
    assert library is not None, "asked for only where the kernel is"
    rows = x.reshape(-1, x.shape[-1]).to(torch.float32).contiguous()
    y = rows.new_empty(len(rows), len(weight))
    wide = None if bias is None else bias.to(torch.float32)
    matrix = matrix_of(weight, scales, wide)
    library.glassbook_product(ctypes.byref(matrix), rows.data_ptr(), y.data_ptr(), len(rows), torch.get_num_threads())
    return y.to(x.dtype).view(*x.shape[:-1], len(weight))
