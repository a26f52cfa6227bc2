"""What is taken off activations before a dictionary is trained on them, and folded into it afterwards.

A training sees (x - center) times a scale at which the median norm is the root of the width. The median, because a few positions
of a language model (attention sinks) have norms a hundred times the others', and a mean would shrink all the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.transcoder import SkipTranscoder

Center = Literal["mean", "median"]
"""The mean of a sample, or its geometric median: the point from which the sum of distances is smallest."""

_MOST_ROWS = 8192
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Scale:
    """A center and the factor by which what lies around it is multiplied."""

    center: Float[Tensor, " d"]
    factor: float

    @classmethod
    def of(cls, sample: Float[Tensor, "n d"], center: Center = "mean") -> "Scale":
        """Return the scale of a sample; raise DictionaryError where half of its rows are the same."""
        middle = sample.double().mean(0).float() if center == "mean" else geometric_median(sample)
        norm = float((sample - middle).norm(dim=1).median())
        if not norm > 0:
            raise DictionaryError(
                "half of the activations are one and the same, so they cannot be normalized; give other activations"
            )
        return cls(middle, sample.shape[1] ** 0.5 / norm)

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return activations as a training sees them."""
        return (x.float() - self.center).mul_(self.factor)

    def to(self, device: torch.device) -> "Scale":
        """Return the same on another device."""
        return Scale(self.center.to(device), self.factor)


@dataclass(frozen=True, slots=True)
class Normalization:
    """The scale of what is read and of what is reconstructed, which are one but in transcoders."""

    read: Scale
    written: Scale

    def state(self) -> dict[str, Tensor]:
        """Return both as tensors."""
        factors = torch.tensor([self.read.factor, self.written.factor], dtype=torch.float64)
        return {"read": self.read.center, "written": self.written.center, "factors": factors}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> "Normalization":
        """Return what `state` was made of."""
        read, written = state["factors"].tolist()
        return cls(Scale(state["read"], read), Scale(state["written"], written))

    def facts(self) -> dict[str, float]:
        """Return what is told of it: how long the centers are, and the factors."""
        names = ("read", "written")
        return {
            **{f"{name}_center_norm": float(getattr(self, name).center.norm()) for name in names},
            **{f"{name}_factor": getattr(self, name).factor for name in names},
        }

    @torch.no_grad()
    def fold_into(self, dictionary: Dictionary) -> None:
        """Change a dictionary so that it takes and gives activations as the model has them, along directions of norm 1.

        A feature's value is then the length of what it adds. Where the rows of the decoder were held at norm 1 all features
        get one factor, so that the order of their values stays.
        """
        read, written = self.read, self.written
        dictionary.encoder.mul_(read.factor)
        dictionary.take_off(read.center)
        dictionary.decoder.div_(written.factor)
        dictionary.b_dec.div_(written.factor).add_(written.center)
        if isinstance(dictionary, SkipTranscoder):
            dictionary.W_skip.mul_(read.factor / written.factor)
            dictionary.b_dec.sub_(read.center @ dictionary.W_skip)
        lengths = torch.full_like(dictionary.b_enc, 1 / written.factor)
        if not dictionary.has_unit_rows:
            lengths = dictionary.decoder.norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
        dictionary.rescale(lengths)


@torch.no_grad()
def geometric_median(sample: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return the point from which the distances to the sample sum up to the least (Weiszfeld 1937)."""
    rows = sample[:_MOST_ROWS].double()
    middle = rows.mean(0)
    for _ in range(_ROUNDS):
        nearness = 1 / (rows - middle).norm(dim=1).clamp(min=1e-8)
        before, middle = middle, nearness @ rows / nearness.sum()
        if (middle - before).norm() <= 1e-7 * middle.norm():
            break
    return middle.float()
