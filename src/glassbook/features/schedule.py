"""How the learning rate of a dictionary goes: up, level, and down to 0 over the last part."""

from dataclasses import dataclass

from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Trapezoid:
    """Up in a straight line over `warmup` steps, level at `lr`, down in a straight line over the last `decay` of `steps`."""

    lr: float
    warmup: int
    decay: int
    steps: int

    def __post_init__(self) -> None:
        if not self.lr > 0 or min(self.warmup, self.decay) < 0 or self.warmup + self.decay > self.steps:
            raise InputError(
                f"a rate of {self.lr:g} over {self.steps} steps cannot rise for {self.warmup} and fall for {self.decay}; "
                "give a rate above 0 and shorter parts"
            )

    def at(self, step: int) -> float:
        """Return the rate of the step that is numbered `step`, the first being 0; it is never 0 before the end."""
        up = (step + 1) / (self.warmup + 1)
        down = (self.steps - step) / (self.decay + 1)
        return self.lr * max(min(up, down, 1.0), 0.0)
