"""Dictionaries: an activation as a sparse sum of directions.

A dictionary encodes an activation x of `d_in` numbers into f, one number for each of its features and most of them 0, and decodes
    y = f W_dec + b_dec
into `d_out` numbers: x itself again, or, in a transcoder, what a part of the model makes of x. The kinds differ in how f comes
from the pre-activations x W_enc + b_enc, and in how they are trained.
"""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.registry import Registry
from glassbook.features.faults import DictionaryError


class Sparse(NamedTuple):
    """The active features of each row and their values; a row with fewer than the others ends in zeros of feature 0."""

    indices: Int[Tensor, "*batch k"]
    values: Float[Tensor, "*batch k"]

    def dense(self, n_features: int) -> Float[Tensor, "*batch n_features"]:
        """Return one number for every feature."""
        whole = self.values.new_zeros(*self.values.shape[:-1], n_features)
        return whole.scatter_add(-1, self.indices, self.values)


class Dictionary(nn.Module):
    """What every kind has; `encoder` and `decoder` hold a row for each feature.

    `facts` says what the dictionary was trained on: model, Site, corpus, settings.
    """

    kind: ClassVar[str]
    is_reference: ClassVar[bool] = False
    """Whether the kind is there to be compared with and not trained by steps."""

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None) -> None:
        super().__init__()
        self.d_in, self.n_features, self.d_out = d_in, n_features, d_in if d_out is None else d_out
        for name in ("d_in", "n_features", "d_out"):
            if getattr(self, name) < 1:
                raise DictionaryError(f"a dictionary with {name} = {getattr(self, name)} is none; give at least 1")
        self.encoder = nn.Parameter(torch.zeros(n_features, d_in))
        self.b_enc = nn.Parameter(torch.zeros(n_features))
        self.decoder = nn.Parameter(torch.zeros(n_features, self.d_out))
        self.b_dec = nn.Parameter(torch.zeros(self.d_out))
        self.facts: dict[str, Any] = {}

    @property
    def W_enc(self) -> Float[Tensor, "d_in n_features"]:
        """Return the encoder as the equations have it."""
        return self.encoder.T

    @property
    def W_dec(self) -> Float[Tensor, "n_features d_out"]:
        """Return the decoder: row i is the direction of feature i."""
        return self.decoder

    @property
    def settings(self) -> dict[str, Any]:
        """Return what besides the sizes makes this dictionary, as plain data."""
        return {}

    def pre_activations(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch n_features"]:
        """Return x W_enc + b_enc."""
        return F.linear(x, self.encoder, self.b_enc)

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the features that these pre-activations stand for; this is what makes a kind."""
        raise NotImplementedError

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch n_features"]:
        """Return the features of x; raise DictionaryError where x is of another width or holds NaN or infinite numbers."""
        return self.activate(self.pre_activations(self.checked(x)))

    def encode_sparse(self, x: Float[Tensor, "*batch d_in"]) -> Sparse:
        """Return the features of x that are not 0."""
        features = self.encode(x)
        k = max(int((features != 0).sum(-1).max()), 1) if features.numel() else 1
        indices = features.abs().topk(k, dim=-1).indices
        values = features.gather(-1, indices)
        return Sparse(indices.where(values != 0, 0), values)

    def decode(self, features: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch d_out"]:
        """Return f W_dec + b_dec."""
        return features @ self.decoder + self.b_dec

    def skip(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"] | None:
        """Return what goes past the features, in the kinds that let something past."""
        return None

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """Return the reconstruction of x (or of what a transcoder stands for)."""
        decoded, past = self.decode(self.encode(x)), self.skip(x)
        return decoded if past is None else decoded + past

    def checked(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch d_in"]:
        """Return x; raise DictionaryError where it is of another width or not finite."""
        if x.shape[-1] != self.d_in:
            raise DictionaryError(
                f"this {self.kind} dictionary reads activations of {self.d_in} numbers and was given {x.shape[-1]}; "
                "give those of the Site that it was trained at"
            )
        if not torch.compiler.is_compiling() and not torch.isfinite(x).all():
            raise DictionaryError("the activations hold NaN or infinite numbers; look for where they come from")
        return x


DICTIONARIES: Registry[type[Dictionary]] = Registry("kind of dictionary")
"""Every kind by name."""


def make_dictionary(
    kind: str, d_in: int, n_features: int, d_out: int | None = None, settings: Mapping[str, Any] | None = None
) -> Dictionary:
    """Return an untrained dictionary, all zeros; raise DictionaryError for settings that the kind does not have."""
    made = DICTIONARIES.find(kind)
    known = list(inspect.signature(made).parameters)[3:]
    for name in settings or {}:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise DictionaryError(f"a {kind} dictionary has no setting '{name}'; {has}")
    return made(d_in, n_features, d_out, **(settings or {}))
