"""The sizes of the study: which model, how many sentences and random directions, and which cells may be chosen."""

from dataclasses import dataclass

TINY = "tiny"
"""The name of a network of three layers with random weights, for which nothing needs to be fetched."""


@dataclass(frozen=True)
class Settings:
    """All that shapes the numbers beside the seed.

    `model` is steered throughout; `weights` names GPT-2-XL for the published cell as it was, and where it is empty that arm is
    left out. A choice is made among `layers` x `strengths` (of a vector at all tokens `strengths_all`, for writing
    `strengths_topic` and `strengths_sentiment`) on `n_choosing` sentences of the choosing half. Of sentences, of prompts,
    choices and facts, 0 means all there are.
    """

    model: str = "smollm2-135m"
    weights: str = ""
    dtype: str = "float32"
    n_sentences: int = 0
    n_choosing: int = 6
    layers: tuple[int, ...] = (6, 10, 14)
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
    strengths_all: tuple[float, ...] = (0.25, 0.5, 1.0)
    strengths_topic: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    strengths_sentiment: tuple[float, ...] = (1.0, 5.0, 15.0)
    doses: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0)
    layer_step: int = 2
    n_random: int = 20
    n_random_published: int = 5
    n_random_dose: int = 3
    n_prompts: int = 0
    n_tokens: int = 24
    budget_writing: float = 1.1


SMOKE = Settings(
    model=TINY,
    weights=TINY,
    n_sentences=4,
    n_choosing=2,
    layers=(1, 2),
    strengths=(1.0, 4.0),
    strengths_all=(0.5, 1.0),
    strengths_topic=(1.0, 4.0),
    strengths_sentiment=(1.0, 5.0),
    doses=(0.5, 1.0, 2.0, 8.0),
    layer_step=1,
    n_random=3,
    n_random_published=2,
    n_random_dose=2,
    n_prompts=4,
    n_tokens=4,
)
LAPTOP = Settings()
GPU = Settings(
    weights="openai-community/gpt2-xl", n_random=100, layers=tuple(range(2, 28, 2)), n_choosing=0, layer_step=1
)
"""Configured and never run."""

BUDGET = 1.02
"""How far off-topic perplexity may move, up or down, in a cell that may be chosen."""

PUBLISHED_STRENGTH = 1.0


def layer_at(published: int, n_layers: int) -> int:
    """Return the layer as far up a network as `published` is up the 48 layers of GPT-2-XL."""
    return round(published * n_layers / 48)
