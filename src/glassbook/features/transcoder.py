"""Transcoders: what a part of the model makes of its input, through sparse features (Dunefsky et al. 2024, 2406.11944).

    y ~ f W_dec + b_dec,   f = features of x in any kind; x is what an MLP reads, y what it writes
The skip transcoder lets a linear part past the features: + x W_skip (Paulo et al. 2025, 2501.18823).
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.features.dictionary import DICTIONARIES, Dictionary, make_dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step


@DICTIONARIES.add("transcoder")
class Transcoder(Dictionary):
    """A dictionary of another kind, its `activation`, that decodes into something else than it read."""

    kind = "transcoder"
    has_skip = False

    def __init__(
        self,
        d_in: int,
        n_features: int,
        d_out: int | None = None,
        *,
        activation: str = "batchtopk",
        activation_settings: Mapping[str, Any] | None = None,
    ) -> None:
        nn.Module.__init__(self)
        inner = make_dictionary(activation, d_in, n_features, d_out, activation_settings)
        if inner.is_reference or isinstance(inner, Transcoder):
            raise DictionaryError(f"a transcoder cannot have {activation} features; choose a kind that is trained")
        self.inner = inner
        self.d_in, self.n_features, self.d_out, self.facts = d_in, n_features, inner.d_out, {}
        self.penalty, self.has_unit_rows, self.revived_length = inner.penalty, inner.has_unit_rows, inner.revived_length
        if self.has_skip:
            self.W_skip = nn.Parameter(torch.zeros(d_in, inner.d_out))

    @property
    def encoder(self) -> nn.Parameter:  # type: ignore[override]
        return self.inner.encoder

    @property
    def b_enc(self) -> nn.Parameter:  # type: ignore[override]
        return self.inner.b_enc

    @property
    def decoder(self) -> nn.Parameter:  # type: ignore[override]
        return self.inner.decoder

    @property
    def b_dec(self) -> nn.Parameter:  # type: ignore[override]
        return self.inner.b_dec

    @property
    def of_features(self) -> list[nn.Parameter]:
        return self.inner.of_features

    @property
    def logarithms(self) -> list[nn.Parameter]:
        return self.inner.logarithms

    @property
    def settings(self) -> dict[str, Any]:
        return {"activation": self.inner.kind, "activation_settings": self.inner.settings}

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the features as the inner kind has them."""
        return self.inner.activate(pre)

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        past = self.skip(x)
        return self.inner.learn(x, target if past is None else target - past, step)

    def begin(self, sample: Float[Tensor, "n d_in"]) -> None:
        self.inner.begin(sample)

    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        self.inner.rescale(factors)

    def take_off(self, center: Float[Tensor, " d_in"]) -> None:
        self.inner.take_off(center)

    def revive(self, features: Int[Tensor, " n"]) -> None:
        self.inner.revive(features)


@DICTIONARIES.add("skip-transcoder")
class SkipTranscoder(Transcoder):
    """A transcoder beside a linear map, `W_skip`, that needs no features."""

    kind = "skip-transcoder"
    has_skip = True

    def skip(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """Return x W_skip."""
        return x.to(self.W_skip.dtype) @ self.W_skip
