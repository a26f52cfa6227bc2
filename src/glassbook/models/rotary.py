"""Rotary position embedding, Su et al. 2021 (2104.09864), equation 34, in the half-split layout of Llama's weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.core.errors import ModelError

Angles = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How the angles of a network were slowed down, so that it reads further than `n_ctx`, which it was trained on first.

    A frequency makes some number of turns over `n_ctx` tokens: one below `low_turns` is slowed by the whole `factor`, one
    above `high_turns` not at all. `magnitude` multiplies queries and keys alike. Where a file gives a divisor for each
    frequency instead, they are `divisors`.
    """

    kind: str
    factor: float = 1.0
    n_ctx: int = 0
    low_turns: float = 1.0
    high_turns: float = 4.0
    magnitude: float = 1.0
    divisors: tuple[float, ...] = ()

    def check(self, d_rotary: int) -> None:
        """Raise ModelError for a rule that we do not have, or one that cannot be applied to `d_rotary` dimensions."""
        if self.kind not in SCALINGS:
            raise ModelError(
                f"rotary angles scaled by the rule '{self.kind[:60]}' are not computed here; open a model whose rule is "
                f"among {', '.join(SCALINGS)}"
            )
        numbers = (self.factor, self.magnitude, *self.divisors)
        is_ramp = self.kind in ("llama3", "yarn")
        if (
            not all(0 < number < math.inf for number in numbers)
            or (is_ramp and not (self.n_ctx > 0 and 0 < self.low_turns < self.high_turns))
            or (self.kind == "divisors" and len(self.divisors) != d_rotary // 2)
        ):
            raise ModelError(
                f"rotary angles of {d_rotary} dimensions cannot be scaled by {self}; mend the configuration"
            )


class Rotary:
    """The table of angles; it grows to the longest position asked for and holds no parameter."""

    def __init__(self, d_head: int, base: float, scaling: Scaling | None = None) -> None:
        self.d_head = d_head
        self.base = base
        self.scaling = scaling
        if scaling is not None:
            scaling.check(d_head)
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

    def frequencies(self, device: torch.device) -> Float[Tensor, " half"]:
        """Return the radians that each pair of dimensions turns by from one token to the next."""
        exponents = torch.arange(0, self.d_head, 2, dtype=torch.float32, device=device) / self.d_head
        frequencies = 1.0 / self.base**exponents
        return SCALINGS[self.scaling.kind](frequencies, self.base, self.scaling) if self.scaling else frequencies

    def _table(self, longest: int, device: torch.device, dtype: torch.dtype) -> Angles:
        # Rounded up, so that generation token by token rebuilds it rarely.
        rows = max(256, 1 << (longest - 1).bit_length())
        angles = torch.outer(torch.arange(rows, dtype=torch.float32, device=device), self.frequencies(device))
        magnitude = self.scaling.magnitude if self.scaling else 1.0
        cosine, sine = angles.cos() * magnitude, angles.sin() * magnitude
        return cosine.repeat(1, 2).to(dtype), torch.cat((-sine, sine), -1).to(dtype)


def rotate(x: Float[Tensor, "batch pos heads d_head"], angles: Angles) -> Float[Tensor, "batch pos heads d_head"]:
    """Return every head turned by its token's angles: dimension i is paired with i + d_head / 2."""
    cosine, signed_sine = angles
    return torch.addcmul(x * cosine, x.roll(x.shape[-1] // 2, -1), signed_sine)


def _linear(frequencies: Tensor, base: float, scaling: Scaling) -> Tensor:
    # Position interpolation, Chen et al. 2023 (2306.15595).
    return frequencies / scaling.factor


def _by_turns(frequencies: Tensor, base: float, scaling: Scaling) -> Tensor:
    # The rule of Llama 3.1's published code: between the bounds the share that is kept grows with the turns.
    turns = scaling.n_ctx * frequencies / (2 * math.pi)
    kept = ((turns - scaling.low_turns) / (scaling.high_turns - scaling.low_turns)).clamp(0, 1)
    return (1 - kept) * frequencies / scaling.factor + kept * frequencies


def _by_dimension(frequencies: Tensor, base: float, scaling: Scaling) -> Tensor:
    # YaRN, Peng et al. 2023 (2309.00071), as its authors' code has it: between the bounds the share that is kept falls
    # with the number of the dimension, and the bounds are rounded outward to whole dimensions.
    half = len(frequencies)
    first, last = (
        half * math.log(scaling.n_ctx / (turns * 2 * math.pi)) / math.log(base)
        for turns in (scaling.high_turns, scaling.low_turns)
    )
    low, high = max(math.floor(first), 0), min(math.ceil(last), 2 * half - 1)
    places = torch.arange(half, dtype=torch.float32, device=frequencies.device)
    slowed = ((places - low) / max(high - low, 0.001)).clamp(0, 1)
    return frequencies / scaling.factor * slowed + frequencies * (1 - slowed)


def _divided(frequencies: Tensor, base: float, scaling: Scaling) -> Tensor:
    return frequencies / torch.tensor(scaling.divisors, device=frequencies.device)


SCALINGS: dict[str, Callable[[Tensor, float, Scaling], Tensor]] = {
    "linear": _linear,
    "llama3": _by_turns,
    "yarn": _by_dimension,
    "divisors": _divided,
}
