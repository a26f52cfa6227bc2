"""A random dictionary: directions that know nothing of the data, and the k of each input that lie along it most.

What a trained dictionary must beat: with enough directions some always lie near an input.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.topk import TopK


@DICTIONARIES.add("random")
class RandomDirections(TopK):
    """Directions drawn with `seed`, evenly from the sphere; mean and one scale for all are fitted."""

    kind = "random"
    is_reference = True
    learn = Dictionary.learn

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, k: int = 32, seed: int = 0) -> None:
        super().__init__(d_in, n_features, d_out, k=k)
        if self.d_out != d_in:
            raise DictionaryError(
                f"random directions decode into the {d_in} coordinates that they read; leave out d_out"
            )
        self.seed = seed
        with torch.no_grad():
            self.encoder.copy_(unit_rows(n_features, d_in, seed))
            self.decoder.copy_(self.encoder)

    @property
    def settings(self) -> dict[str, int]:
        return {"k": self.k, "seed": self.seed}

    @torch.no_grad()
    def fit(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Take the mean of a sample, and the scale of the features at which it is reconstructed best."""
        x = self.checked(sample)
        mean = x.mean(0)
        self.b_dec.copy_(mean)
        self.b_enc.copy_(-self.encoder @ mean)
        rough = self(x) - mean
        scale = (rough * (x - mean)).sum() / rough.square().sum().clamp(min=torch.finfo(torch.float32).tiny)
        self.encoder.mul_(scale)
        self.b_enc.mul_(scale)


def unit_rows(n: int, d: int, seed: int) -> Float[Tensor, "n d"]:
    """Return n directions drawn evenly from the sphere."""
    rows = torch.randn(n, d, generator=generator(seed, "directions", n, d))
    return rows / rows.norm(dim=1, keepdim=True)
