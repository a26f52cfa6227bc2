"""Small dictionaries of every kind with drawn weights: what the tests of this room and the conformance suite stand on."""

from typing import Any

import torch
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.features.dictionary import Dictionary, make_dictionary

D, N, K = 8, 24, 3

Row = tuple[str, int, int, int, dict[str, Any]]

ROWS: dict[str, Row] = {
    "standard": ("standard", D, N, D, {}),
    "standard, unit": ("standard", D, N, D, {"norms": "unit"}),
    "gated": ("gated", D, N, D, {}),
    "topk": ("topk", D, N, D, {"k": K}),
    "batchtopk": ("batchtopk", D, N, D, {"k": K}),
    "matryoshka-batchtopk": ("matryoshka-batchtopk", D, N, D, {"k": K, "sizes": [5, 11, N]}),
    "jumprelu": ("jumprelu", D, N, D, {}),
    "jumprelu, k": ("jumprelu", D, N, D, {"k": K, "bandwidth": 0.5, "first_threshold": 0.4}),
    "transcoder": ("transcoder", D, N, 6, {"activation": "batchtopk", "activation_settings": {"k": K}}),
    "transcoder, gated": ("transcoder", D, N, 6, {"activation": "gated"}),
    "skip-transcoder": ("skip-transcoder", D, N, 6, {"activation": "topk", "activation_settings": {"k": K}}),
    "skip-transcoder, jumprelu": ("skip-transcoder", D, N, 6, {"activation": "jumprelu"}),
    "pca": ("pca", D, D - 2, D, {"k": K}),
    "pca, all": ("pca", D, D, D, {}),
    "random": ("random", D, N, D, {"k": K, "seed": 5}),
    "identity": ("identity", D, D, D, {}),
    "omp": ("omp", D, N, D, {"k": K}),
}
"""Kind, widths and settings, under a label."""

FITTED = ("pca", "pca, all", "random", "identity", "omp")
TRAINED = tuple(label for label in ROWS if label not in FITTED)


def drawn(label: str, seed: int = 0) -> Dictionary:
    """Return the dictionary of a row, its numbers drawn; features are active about as often as they should."""
    kind, d_in, n, d_out, settings = ROWS[label]
    made = make_dictionary(kind, d_in, n, d_out, settings)
    chance = generator(seed, "dictionary", label)
    if kind in ("pca", "random"):
        made.fit(torch.randn(50, d_in, generator=chance) + 1)
    elif kind != "identity":
        with torch.no_grad():
            for name, value in made.state_dict().items():
                value.copy_(torch.randn(value.shape, generator=chance) * (0.3 if value.ndim == 1 else 1))
                if "threshold" in name and "log" not in name:
                    value.fill_(2.5)
            made.decoder.div_(made.decoder.norm(dim=1, keepdim=True))
    return made


def inputs(n: int, d: int = D, seed: int = 0) -> Tensor:
    """Return rows of normal numbers."""
    return torch.randn(n, d, generator=generator(seed, "inputs", n, d))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two states are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
