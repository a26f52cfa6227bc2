"""Activation addition (Turner et al. 2023, 2308.10248): the paper's texts and protocol on a model of one's own machine."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from numpy.typing import NDArray

from glassbook.studies.activation_addition import arms
from glassbook.studies.activation_addition.opening import fingerprints_now
from glassbook.studies.activation_addition.pictures import all_pictures
from glassbook.studies.activation_addition.sentiment import CHOICES, choices_checksum
from glassbook.studies.activation_addition.settings import GPU, LAPTOP, SMOKE, Settings
from glassbook.studies.activation_addition.texts import LEXICON, TEXTS, checksum
from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Picture, Study


@STUDIES.add("activation-addition")
class ActivationAddition(Study):
    """The pilot of steering: what one added vector does, beside everything it must be held against."""

    name: ClassVar[str] = "activation-addition"
    title: ClassVar[str] = "Activation addition: steering by one difference of two prompts"
    settings: ClassVar[Mapping[str, Settings]] = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU}
    seeds: ClassVar[Mapping[str, int]] = {"smoke": 1, "laptop": 3, "gpu": 3}
    draws: ClassVar[tuple[str, ...]] = ("glassbook.studies.activation_addition.pictures",)

    def arms(self, settings: Settings) -> Sequence[Arm]:
        """Return the arms; the one on GPT-2-XL only where its weights are given."""
        return [arm for arm in arms.ARMS if arm is not arms.EXACT or settings.weights]

    def measure(self, cell: Cell) -> Mapping[str, NDArray[Any]]:
        """Return the columns of one arm at one seed."""
        return arms.MEASURES[cell.arm](cell)

    def views(self, items: Mapping[int, Items], settings: Settings) -> Mapping[str, Picture]:
        """Return ratios by layer and dose, the controls, and the frontier as pictures."""
        return all_pictures(items)

    def sources(self, settings: Settings) -> Mapping[str, str]:
        """Return the checksums of texts and lexicon as they are now, and the fingerprint of the steered model."""
        texts = {name: checksum(name) for name in (TEXTS, LEXICON)}
        texts[CHOICES] = choices_checksum()
        return texts | dict(fingerprints_now(settings.model, settings.dtype))
