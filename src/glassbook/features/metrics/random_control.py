"""The random directions that a dictionary's metrics are held against: as many, and as many of them active."""

from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary
from glassbook.features.random_directions import RandomDirections

_ACTIVE = 32


def random_like(dictionary: Dictionary, sample: Float[Tensor, "row d_in"], seed: int) -> RandomDirections:
    """Return as many random directions as the dictionary has features, fitted to a sample.

    As many of them are active as the dictionary's k, or 32 where it has none.
    """
    k = min(int(dictionary.settings.get("k") or _ACTIVE), dictionary.n_features)
    control = RandomDirections(dictionary.d_in, dictionary.n_features, k=k, seed=seed)
    device = dictionary.encoder.device
    control.requires_grad_(False).to(device).fit(sample.to(device))
    return control
