"""The keys and values that a wrapped module keeps in its own form, with what generation here needs to know of them."""

import copy
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor


class ModuleCache:
    """The module's own keys and values, with the columns that padding took hidden from all later tokens."""

    def __init__(self) -> None:
        self.past: Any = None
        self.filled = 0
        self._visible: Bool[Tensor, "batch columns"] | None = None

    def hide(self, lengths: list[int]) -> None:
        """Mark the filled columns at and beyond each row's length as padding."""
        if min(lengths) < self.filled:
            self._visible = torch.arange(self.filled) < torch.tensor(lengths)[:, None]

    @property
    def has_gaps(self) -> bool:
        """Return whether some row's columns are not its positions."""
        return self._visible is not None

    def mask(self, tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch columns"]:
        """Return 1 for each column that holds a token, those of the next `tokens` included, and 0 for padding."""
        mask = tokens.new_ones(len(tokens), self.filled + tokens.shape[1])
        if self._visible is not None:
            mask[:, : self._visible.shape[1]] = self._visible.to(mask)
        return mask

    def repeated(self, n: int) -> "ModuleCache":
        """Return a copy with every row `n` times, for several samples of one prompt."""
        twin = copy.deepcopy(self)
        twin.past.batch_repeat_interleave(n)
        twin._visible = None if self._visible is None else self._visible.repeat_interleave(n, 0)
        return twin

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows, when the others have finished."""
        self.past.batch_select_indices(rows)
        self._visible = None if self._visible is None else self._visible[rows.cpu()]
