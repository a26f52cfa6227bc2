"""Activation addition (Turner et al. 2023, 2308.10248): the paper's texts and protocol on a model of one's own machine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glassbook.studies.activation_addition.exact import measure_exact
from glassbook.studies.activation_addition.knowledge import measure_knowledge
from glassbook.studies.activation_addition.opening import fingerprints_now
from glassbook.studies.activation_addition.perplexity import (
    measure_actadd,
    measure_dose,
    measure_flipped,
    measure_instruction,
    measure_layers,
    measure_prompting,
    measure_published,
    measure_random,
)
from glassbook.studies.activation_addition.pictures import all_pictures
from glassbook.studies.activation_addition.sentiment import measure_sentiment
from glassbook.studies.activation_addition.settings import GPU, LAPTOP, SMOKE, Settings
from glassbook.studies.activation_addition.texts import LEXICON, TEXTS, checksum
from glassbook.studies.activation_addition.topic import measure_topic
from glassbook.studies.activation_addition.variants import measure_variants
from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Picture, Study

EXACT = Arm("gpt2-xl", "the published cell on GPT-2-XL itself; left out without its weights", False)
ARMS = (
    Arm(
        "published",
        "the published cell, as far up this network as it was up GPT-2-XL: layer and coefficient not chosen",
    ),
    Arm("prompting", "the same token as a prompt, where the vector would have acted"),
    Arm("instruction", "a plain instruction in front: 'Write about weddings.'"),
    Arm("actadd", "the vector in the cell that it chose on the other half of the sentences"),
    Arm("flipped", "the vector with its sign turned", after=("actadd",)),
    Arm("random", "random directions of the same norm, each through the same choice"),
    Arm("layers", "every layer at coefficient 1", False),
    Arm("dose", "coefficients from a quarter to 32 at the chosen layer", False, ("actadd",)),
    Arm("topic", "wedding words at the next token and in continuations", False),
    Arm("sentiment", "Love - Hate and Intent to praise - Intent to hurt", False),
    Arm("knowledge", "facts that have nothing to do with weddings", False, ("actadd",)),
    Arm("variants", "other directions and other places, each through the same choice", False),
    EXACT,
)
MEASURES: Mapping[str, Callable[[Cell], Mapping[str, NDArray[np.float64]]]] = {
    "published": measure_published,
    "prompting": measure_prompting,
    "instruction": measure_instruction,
    "actadd": measure_actadd,
    "flipped": measure_flipped,
    "random": measure_random,
    "layers": measure_layers,
    "dose": measure_dose,
    "topic": measure_topic,
    "sentiment": measure_sentiment,
    "knowledge": measure_knowledge,
    "variants": measure_variants,
    EXACT.name: measure_exact,
}


@STUDIES.add("activation-addition")
class ActivationAddition(Study):
    """The pilot of steering: what one added vector does, beside everything it must be held against."""

    name: ClassVar[str] = "activation-addition"
    title: ClassVar[str] = "Activation addition: steering by one difference of two prompts"
    draws = ("glassbook.studies.activation_addition.pictures",)
    settings: ClassVar[Mapping[str, Settings]] = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU}
    seeds: ClassVar[Mapping[str, int]] = {"smoke": 1, "laptop": 3, "gpu": 3}

    def arms(self, settings: Settings) -> Sequence[Arm]:
        """Return the arms; the one on GPT-2-XL only where its weights are given."""
        return [arm for arm in ARMS if arm is not EXACT or settings.weights]

    def measure(self, cell: Cell) -> Mapping[str, NDArray[Any]]:
        """Return the columns of one arm at one seed."""
        return MEASURES[cell.arm](cell)

    def views(self, items: Mapping[int, Items], settings: Settings) -> Mapping[str, Picture]:
        """Return ratios by layer and dose, the controls, and the frontier as pictures."""
        return all_pictures(items)

    def sources(self, settings: Settings) -> Mapping[str, str]:
        """Return the checksums of texts and lexicon as they are now, and the fingerprint of the steered model."""
        texts = {name: checksum(name) for name in (TEXTS, LEXICON)}
        return texts | dict(fingerprints_now(settings.model, settings.dtype))
