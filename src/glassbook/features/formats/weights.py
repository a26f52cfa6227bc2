"""What every package's dictionary comes to: two matrices, two biases, thresholds; and how their conventions turn into ours.

Some take the decoder's bias off the input first, some weigh pre-activations by the norms of the decoder. Both can be folded into
encoder and bias for good, so that a dictionary here has one convention: f from x W_enc + b_enc, y = f W_dec + b_dec. Folding is
done in float64 and rounded once. What is computed in another order differs by rounding, so that a pre-activation that lies within
it of a threshold may fall on the other side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import GlassbookError
from glassbook.features.dictionary import Dictionary, make_dictionary
from glassbook.features.transcoder import Transcoder
from glassbook.files.reading import damaged

_SMALLEST = float(torch.finfo(torch.float32).tiny)
INNER = "inner."


@dataclass(frozen=True, slots=True)
class Weights:
    """Encoder and decoder with a row for each feature, and their biases."""

    encoder: Float[Tensor, "n_features d_in"]
    b_enc: Float[Tensor, " n_features"]
    decoder: Float[Tensor, "n_features d_out"]
    b_dec: Float[Tensor, " d_out"]

    @classmethod
    def of(cls, dictionary: Dictionary) -> "Weights":
        """Return those of a dictionary, in float32."""
        names = ("encoder", "b_enc", "decoder", "b_dec")
        return cls(*(getattr(dictionary, name).detach().float() for name in names))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return d_in, n_features and d_out."""
        return self.encoder.shape[1], self.encoder.shape[0], self.decoder.shape[1]

    @property
    def offset(self) -> Float[Tensor, " n_features"]:
        """Return what the decoder's bias comes to as pre-activations, in float64."""
        return self.encoder.double() @ self.b_dec.double()

    def uncentered(self) -> "Weights":
        """Return weights that take x, from some that take x - b_dec."""
        return replace(self, b_enc=self.b_enc.double() - self.offset)

    def centered(self) -> "Weights":
        """Return weights that take x - b_dec, from some that take x."""
        return replace(self, b_enc=self.b_enc.double() + self.offset)

    def weighed(self) -> "Weights":
        """Return weights that make features as long as what they add, from some that choose by pre-activation times norm."""
        norms = self.decoder.double().norm(dim=1)
        return replace(
            self,
            encoder=self.encoder.double() * norms[:, None],
            b_enc=self.b_enc.double() * norms,
            decoder=self.decoder.double() / norms.clamp(min=_SMALLEST)[:, None],
        )

    def state(self, prefix: str = "") -> dict[str, Tensor]:
        """Return them by the names that a dictionary has for them."""
        return {f"{prefix}{name}": getattr(self, name) for name in ("encoder", "b_enc", "decoder", "b_dec")}


def built(
    path: Path, kind: str, weights: Weights, settings: Mapping[str, Any], more: Mapping[str, Tensor] | None = None
) -> Dictionary:
    """Return a dictionary of these numbers; raise FileFormatError naming `path` where the kind cannot have them.

    `more` are the numbers of the kind besides the four; in a transcoder those of its features are called `inner.…`.
    """
    prefix = INNER if kind in ("transcoder", "skip-transcoder") else ""
    state = weights.state(prefix) | dict(more or {})
    d_in, n_features, d_out = weights.sizes
    try:
        # On no device, so that the numbers that were read are the only ones in memory.
        with torch.device("meta"):
            made = make_dictionary(kind, d_in, n_features, d_out, settings)
    except (GlassbookError, TypeError) as fault:
        raise damaged(path, str(fault)) from fault
    whole = {name: value.to(torch.float32).contiguous() for name, value in state.items()}
    for name, value in whole.items():
        if not torch.isfinite(value).all():
            raise damaged(path, f"'{name}' is too large for float32")
    made.load_state_dict(whole, assign=True)
    return made.requires_grad_(False)


def log_thresholds(thresholds: Float[Tensor, " n_features"]) -> Float[Tensor, " n_features"]:
    """Return thresholds as JumpReLU keeps them; what is not above 0 becomes the smallest number that is.

    Of the logarithms in float32 the one is taken whose power comes nearest, within 6e-8 of the threshold times its logarithm.
    """
    wanted = thresholds.double().clamp(min=_SMALLEST)
    nearest = wanted.log().float()
    infinity = torch.tensor(torch.inf)
    choices = torch.stack([nearest, nearest.nextafter(infinity), nearest.nextafter(-infinity)])
    misses = (choices.exp().double() - wanted).abs()
    return choices.gather(0, misses.argmin(0, keepdim=True))[0]


def reached(threshold: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the threshold from which on (>=) is what `threshold` is exceeded by (>)."""
    return threshold.float().nextafter(torch.tensor(torch.inf))


def exceeded(threshold: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the threshold that is exceeded (>) by what reaches `threshold` (>=)."""
    return threshold.float().nextafter(torch.tensor(-torch.inf))


def features_of(dictionary: Dictionary) -> Dictionary:
    """Return the dictionary whose kind says how features come about: the inner one of a transcoder."""
    return dictionary.inner if isinstance(dictionary, Transcoder) else dictionary
