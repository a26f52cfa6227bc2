"""Dictionaries: an activation as a sparse sum of directions.

A dictionary encodes an activation x of `d_in` numbers into f, one number for each of its features and most of them 0, and decodes
    y = f W_dec + b_dec
into `d_out` numbers: x itself again, or, in a transcoder, what a part of the model makes of x. The kinds differ in how f comes
from the pre-activations x W_enc + b_enc, and in how they are trained.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.registry import Registry
from glassbook.features.active import Active
from glassbook.features.encoding import Encoding
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step
from glassbook.features.sparse_products import squared_error


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
    """Whether the kind is there to be compared with: it is fitted to a sample and not trained by steps."""

    float32: ClassVar[tuple[str, ...]] = ()
    """What stays in float32 in whatever precision the rest is: thresholds."""

    penalty: float = 0.0
    """How much sparsity weighs in the objective where nothing else is asked; 0 in kinds without a penalty."""

    has_unit_rows: bool = True
    """Whether the rows of the decoder are held at norm 1 in training."""

    revived_length: float = 0.2
    """How long the encoder row of a feature that begins anew is, over the mean of those that live."""

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
    def of_features(self) -> list[nn.Parameter]:
        """Return the parameters that have a row for each feature."""
        return [self.encoder, self.b_enc, self.decoder]

    @property
    def logarithms(self) -> list[nn.Parameter]:
        """Return the parameters that hold logarithms, of which a step moves what they stand for by its share."""
        return []

    @property
    def settings(self) -> dict[str, Any]:
        """Return what besides the sizes makes this dictionary, as plain data."""
        return {}

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        """Return the objective of a batch; raise DictionaryError in kinds that are fitted."""
        raise DictionaryError(f"a {self.kind} dictionary is not trained by steps; fit it to a sample")

    @torch.no_grad()
    def begin(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Begin whatever numbers besides encoder and decoder there are, the sample being as a training sees it."""

    def fit(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Take everything from a sample, in the kinds that are references."""
        raise DictionaryError(f"a {self.kind} dictionary is trained by steps; give it to a DictionaryLearner")

    def encoding(self, x: Float[Tensor, "batch d_in"], step: Step) -> Encoding:
        """Return the encoder at work on a batch."""
        return Encoding(x, self.encoder, self.b_enc, step)

    def learned(
        self, active: Active, values: Tensor, target: Float[Tensor, "batch d_out"], penalty: Tensor | None = None
    ) -> Learned:
        """Return the squared error of these values as features, and the penalty, as an objective."""
        squares, residual = squared_error(active.decode(values, self.decoder) + self.b_dec, target)
        counts = active.counts(values.detach() > 0)
        return Learned(squares if penalty is None else squares + penalty, squares.detach(), residual, counts)

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        """Multiply each feature's value by its factor and divide its direction by it, so that reconstructions stay."""
        self.encoder.mul_(factors[:, None])
        self.b_enc.mul_(factors)
        self.decoder.div_(factors[:, None])

    @torch.no_grad()
    def take_off(self, center: Float[Tensor, " d_in"]) -> None:
        """Read x as x - center from here on."""
        self.b_enc.sub_(self.encoder @ center)

    @torch.no_grad()
    def revive(self, features: Int[Tensor, " n"]) -> None:
        """Put back to their beginning whatever numbers besides encoder and decoder these features have."""
        self.b_enc[features] = 0

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
        # The sum is one quick pass; only where it overflows must every number be looked at.
        if not torch.compiler.is_compiling() and not torch.isfinite(x.sum()) and not torch.isfinite(x).all():
            raise DictionaryError("the activations hold NaN or infinite numbers; look for where they come from")
        return x.to(self.encoder.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        kept = {name: getattr(self, name).detach().clone() for name in self.float32}
        super()._apply(fn, recurse)
        for name, value in kept.items():
            getattr(self, name).data = value.to(self.encoder.device)
        return self


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
