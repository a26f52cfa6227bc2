"""How the learning rate goes over a training."""

import math
from dataclasses import dataclass

from glassbook.core.errors import InputError


@dataclass(frozen=True)
class Cosine:
    """Up in a straight line to `lr` over `warmup` steps, then down half a cosine to `min_lr` at step `steps`.

    The cosine is equation 5 of Loshchilov and Hutter 2016 (1608.03983) without restarts.
    """

    lr: float
    min_lr: float
    warmup: int
    steps: int

    def __post_init__(self) -> None:
        if not 0 <= self.min_lr <= self.lr:
            raise InputError(f"a rate cannot go from {self.lr:g} down to {self.min_lr:g}; choose 0 <= min_lr <= lr")
        if not 0 <= self.warmup <= self.steps:
            raise InputError(f"{self.warmup} steps of warm-up do not fit into {self.steps}; choose fewer")

    def at(self, step: int) -> float:
        """Return the rate of the step that is numbered `step`, the first being 0; it is never 0 while warming up."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        if step >= self.steps:
            return self.min_lr
        part = (step - self.warmup) / (self.steps - self.warmup)
        return self.min_lr + (self.lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * part))
