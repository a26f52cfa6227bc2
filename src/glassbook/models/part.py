"""A part of a block: a module that costs nothing beyond its own arithmetic to call."""

from typing import Any

from torch import nn


class Part(nn.Module):
    """A module whose call is its `forward`.

    Taps are the hooks of this house, so what PyTorch does around a call to look for hooks is left out: in generation, one
    token at a time, it would cost as much as the small operations themselves. Blocks and whole networks stay ordinary
    modules, since sharding (FSDP) hangs its hooks on them.
    """

    def __call__(self, *values: Any) -> Any:
        """Return what `forward` returns."""
        return self.forward(*values)
