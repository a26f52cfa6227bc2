"""The arms of the study in the order in which they are measured, and what measures each: all that its numbers depend on."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from glassbook.studies.activation_addition.exact import measure_exact
from glassbook.studies.activation_addition.knowledge import measure_knowledge
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
from glassbook.studies.activation_addition.sentiment import measure_sentiment
from glassbook.studies.activation_addition.topic import measure_topic
from glassbook.studies.activation_addition.variants import measure_variants
from glassbook.studies.contract import Arm, Cell

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
