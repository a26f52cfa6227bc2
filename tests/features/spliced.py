"""Dictionaries with drawn weights that belong to the tiny models, at any of their Sites: what is done with them in a model."""

import functools
from typing import Any

import torch
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.activations.store.reading import width_at
from glassbook.core.seeds import generator
from glassbook.core.sites import Site
from glassbook.features import Dictionary, make_dictionary
from glassbook.features.splicing import SiteOrPair
from glassbook.models.model import Model

N = 40
TEXT = [5, 9, 2, 77, 31, 8, 120, 64]

SETTINGS: dict[str, dict[str, Any]] = {
    "standard": {},
    "gated": {},
    "topk": {"k": 5},
    "batchtopk": {"k": 5},
    "matryoshka-batchtopk": {"k": 5, "sizes": [10, N]},
    "jumprelu": {},
    "transcoder": {"activation": "batchtopk", "activation_settings": {"k": 5}},
    "skip-transcoder": {"activation": "jumprelu"},
}
"""What is steered and read in tests: each kind with its settings."""

PAIR = ("L1.resid_mid", "L1.mlp_out")


@functools.cache
def words(model: Model, kind: str = "batchtopk", site: SiteOrPair = "L1.resid_post", seed: int = 0) -> Dictionary:
    """Return a dictionary that says it was trained on this model, about a fifth of its features active at any token."""
    read, written = site if isinstance(site, tuple) else (site, site)
    widths = [width_at(model, Site.parse(one)) for one in (read, written)]
    made = make_dictionary(kind, widths[0], N, widths[1], SETTINGS[kind]).requires_grad_(False)
    chance = generator(seed, "words", kind)
    x = capture(model, [TEXT], read)[Site.parse(read)].flatten(2)[0].float()
    for name, value in made.state_dict().items():
        if "threshold" not in name:
            value.copy_(torch.randn(value.shape, generator=chance) * (0.1 if value.ndim == 1 else 1))
    made.decoder.div_(made.decoder.norm(dim=1, keepdim=True))
    made.encoder.div_(x.norm(dim=1).mean() / 4)
    _set_thresholds(made, x)
    made.facts |= {"weights": model.identity.to_dict(), "site": read}
    if isinstance(site, tuple):
        made.facts |= {"site_out": written}
    return made


def _set_thresholds(made: Dictionary, x: Tensor) -> None:
    """Let a fifth of the features of x pass, in kinds that have thresholds."""
    level = float(made.pre_activations(x).quantile(0.8).clamp(min=0.1))
    for name, value in made.state_dict().items():
        if name.endswith("log_threshold"):
            value.fill_(torch.tensor(level).log())
        elif name.endswith("threshold"):
            value.fill_(level)


def values(model: Model, site: str | Site, prompt: list[int], steer: object = None) -> Tensor:
    """Return what flows on at a Site for one prompt, heads side by side."""
    place = Site.parse(site)
    return capture(model, [prompt], place, steer=steer)[place].flatten(2)[0]  # type: ignore[arg-type]


def features_of(model: Model, dictionary: Dictionary, prompt: list[int]) -> Tensor:
    """Return the features of every token of a prompt."""
    return dictionary.encode(values(model, dictionary.facts["site"], prompt))


def most_active(model: Model, dictionary: Dictionary, prompt: list[int], n: int = 1) -> list[int]:
    """Return the features with the largest sum over a prompt."""
    return [int(i) for i in features_of(model, dictionary, prompt).sum(0).topk(n).indices]
