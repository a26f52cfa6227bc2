"""GPT-2 from scratch: built part by part, trained in minutes, held against what others published, and tuned to answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Study
from glassbook.studies.gpt2_from_scratch.character import (
    measure_character,
    measure_dice,
    measure_guessing,
    measure_memory,
    measure_sizes,
)
from glassbook.studies.gpt2_from_scratch.parity import measure_parity
from glassbook.studies.gpt2_from_scratch.pictures import all_pictures
from glassbook.studies.gpt2_from_scratch.settings import GPU, LAPTOP, SMOKE, Settings
from glassbook.studies.gpt2_from_scratch.texts import INSTRUCTIONS, checksum
from glassbook.studies.gpt2_from_scratch.tuning import measure_from_random, measure_from_scrambled, measure_tuned
from glassbook.studies.gpt2_from_scratch.writer import measure_pretraining

ARMS = (
    Arm("parity", "each part beside a restatement of a few lines"),
    Arm("guessing", "guessers that need no network: by frequency, by the character before, by compression"),
    Arm("character", "the published setting: Shakespeare by characters"),
    Arm("sizes", "two smaller networks on the same characters, and a twin of the smallest", False, ("character",)),
    Arm("cache", "reading token by token beside reading all at once", False, ("character",)),
    Arm("dice", "sampled tokens beside the softmax", False, ("character",)),
    Arm("pretrained", "byte pairs and a network learned from children's books"),
    Arm("tuned", "the pre-trained network tuned to instructions", True, ("pretrained",)),
    Arm("tuned-from-random", "the same tuning from random weights", True, ("pretrained",)),
    Arm(
        "tuned-from-scrambled",
        "the same tuning from the pre-trained numbers in random order",
        True,
        ("pretrained",),
    ),
)
MEASURES: Mapping[str, Callable[[Cell], Mapping[str, NDArray[np.float64]]]] = {
    "parity": lambda cell: measure_parity(cell.seed, cell.settings.parity_draws),
    "guessing": measure_guessing,
    "character": measure_character,
    "sizes": measure_sizes,
    "cache": measure_memory,
    "dice": measure_dice,
    "pretrained": measure_pretraining,
    "tuned": measure_tuned,
    "tuned-from-random": measure_from_random,
    "tuned-from-scrambled": measure_from_scrambled,
}


@STUDIES.add("gpt2-from-scratch")
class GPT2FromScratch(Study):
    """The pilot of training: what one must build, and how one knows that it is right."""

    name: ClassVar[str] = "gpt2-from-scratch"
    title: ClassVar[str] = "GPT-2 from scratch"
    draws = ("glassbook.studies.gpt2_from_scratch.pictures",)
    settings: ClassVar[Mapping[str, Settings]] = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU}
    seeds: ClassVar[Mapping[str, int]] = {"smoke": 1, "laptop": 3, "gpu": 3}

    def arms(self, settings: Settings) -> Sequence[Arm]:
        """Return the arms in the order in which they are measured."""
        return ARMS

    def measure(self, cell: Cell) -> Mapping[str, NDArray[Any]]:
        """Return the columns of one arm at one seed."""
        return MEASURES[cell.arm](cell)

    def views(self, items: Mapping[int, Items], settings: Any) -> Mapping[str, Any]:
        """Return parity, losses, bits and tuning as pictures."""
        return all_pictures(items)

    def sources(self, settings: Settings) -> Mapping[str, str]:
        """Return the checksums of the texts and of the instructions as they are now."""
        return {name: checksum(name) for name in (settings.text, settings.books, INSTRUCTIONS)}
