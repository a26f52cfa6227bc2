"""The identity: every coordinate is a feature, f = x. It explains everything and is not sparse: the one end of every frontier."""

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError


@DICTIONARIES.add("identity")
class Identity(Dictionary):
    """As many features as coordinates, each of them one."""

    kind = "identity"
    is_reference = True

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None) -> None:
        super().__init__(d_in, n_features, d_out)
        if not self.d_in == self.n_features == self.d_out:
            raise DictionaryError(
                f"the identity of {d_in} coordinates has as many features and not {n_features}; give one number for both"
            )
        with torch.no_grad():
            self.encoder.copy_(torch.eye(d_in))
            self.decoder.copy_(torch.eye(d_in))

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the pre-activations."""
        return pre

    def fit(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Take nothing from the sample: there is nothing to fit."""
        self.checked(sample)
