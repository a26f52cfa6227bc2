"""Dictionaries through training's one loop."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary

Batch = Float[Tensor, "batch d_in"] | tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]]
"""Activations, or for a transcoder those that are read and those that are to be predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DictionarySettings:
    """How a dictionary is trained."""

    steps: int
    lr: float | None = None
    seed: int = 0


class DictionaryLearner:
    """A Learner of one dictionary."""

    def __init__(self, dictionary: Dictionary, settings: DictionarySettings) -> None:
        self.working, self.settings = dictionary, settings

    def prepare(self, sample: Batch) -> None:
        """Take normalization and initial weights from a sample; the first batch is taken where nobody calls it before."""
        raise NotImplementedError

    def step(self, batch: Batch) -> Mapping[str, float]:
        """Learn from one batch and return loss, fvu, l0, dead, lr, tokens, flop."""
        raise NotImplementedError

    def state(self) -> Mapping[str, Tensor]:
        """Return all that the next step depends on."""
        raise NotImplementedError

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        raise NotImplementedError

    def dictionary(self) -> Dictionary:
        """Return the dictionary as it stands, taking the model's own activations: the normalization is folded in."""
        raise NotImplementedError
