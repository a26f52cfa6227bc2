"""Rotary position embedding, Su et al. 2021 (2104.09864), equation 34, in the half-split layout of Llama's weights."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Angles = tuple[Tensor, Tensor]


class Rotary:
    """The table of angles; it grows to the longest position asked for and holds no parameter."""

    def __init__(self, d_head: int, base: float) -> None:
        self.d_head = d_head
        self.base = base
        self._tables: dict[tuple[torch.device, torch.dtype], Angles] = {}

    def angles(self, positions: Int[Tensor, "batch pos"], longest: int, dtype: torch.dtype) -> Angles:
        """Return cosines and signed sines, each `[batch pos 1 d_head]`, for tokens at these positions (all < `longest`)."""
        key = (positions.device, dtype)
        table = self._tables.get(key)
        if table is None or len(table[0]) < longest:
            # Another thread may be growing it too; whichever table stays, this pass reads its own.
            table = self._table(longest, *key)
            self._tables[key] = table
        cosines, sines = table
        return cosines[positions].unsqueeze(2), sines[positions].unsqueeze(2)

    def _table(self, longest: int, device: torch.device, dtype: torch.dtype) -> Angles:
        # Rounded up, so that generation token by token rebuilds it rarely.
        rows = max(256, 1 << (longest - 1).bit_length())
        exponents = torch.arange(0, self.d_head, 2, dtype=torch.float32, device=device) / self.d_head
        angles = torch.outer(torch.arange(rows, dtype=torch.float32, device=device), 1.0 / self.base**exponents)
        sine = angles.sin()
        return angles.cos().repeat(1, 2).to(dtype), torch.cat((-sine, sine), -1).to(dtype)


def rotate(x: Float[Tensor, "batch pos heads d_head"], angles: Angles) -> Float[Tensor, "batch pos heads d_head"]:
    """Return every head turned by its token's angles: dimension i is paired with i + d_head / 2."""
    cosine, signed_sine = angles
    return torch.addcmul(x * cosine, x.roll(x.shape[-1] // 2, -1), signed_sine)
