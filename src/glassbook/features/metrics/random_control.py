"""The random directions that a dictionary's metrics are held against: as many, and as many of them active."""

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary
from glassbook.features.random_directions import RandomDirections
from glassbook.features.transcoder import Transcoder


def random_like(dictionary: Dictionary, sample: Float[Tensor, "row d_in"], seed: int) -> RandomDirections:
    """Return as many random directions as the dictionary has features, fitted to a sample.

    As many of them are active as the dictionary's k; where it has none, as of its features on the sample, on average.
    """
    core = dictionary.inner if isinstance(dictionary, Transcoder) else dictionary
    k = getattr(core, "k", None) or _active(dictionary, sample)
    control = RandomDirections(dictionary.d_in, dictionary.n_features, k=k, seed=seed)
    device = dictionary.encoder.device
    control.requires_grad_(False).to(device).fit(sample.to(device))
    return control


@torch.no_grad()
def _active(dictionary: Dictionary, sample: Float[Tensor, "row d_in"]) -> int:
    features = dictionary.encode(sample.to(dictionary.encoder.device))
    return max(round(float((features > 0).sum(1).float().mean())), 1)
