"""First-letter absorption of a dictionary in its model, letter by letter, beside random directions and shuffled letters."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features.dictionary import Dictionary
from glassbook.features.metrics.absorption import (
    MEASURED,
    AbsorptionSettings,
    Asked,
    LetterAbsorption,
    LetterProbe,
    absorption_of,
    check_writes_where_it_reads,
    letter_probes,
)
from glassbook.features.metrics.random_control import random_like
from glassbook.features.metrics.words import Words, read_words, words_of
from glassbook.features.splicing import SiteOrPair, places_of
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.stats.bootstrap import bootstrap
from glassbook.stats.intervals import Interval
from glassbook.views.view import plain

_RESAMPLES = 2000
MEANS = ("absorption_fraction", "full_absorption", "n_split_features", "split_f1", "probe_f1")
"""What is told of all letters that were measured: means, with intervals from drawing letters anew."""


@dataclass(frozen=True, kw_only=True)
class Absorption:
    """Absorption by letter, of a dictionary and of as many random directions.

    `shuffled` has for each letter the F1 of a probe that learned from words whose letters were dealt out anew; None for too few.
    """

    facts: Mapping[str, Any]
    letters: tuple[LetterAbsorption, ...]
    control: tuple[LetterAbsorption, ...]
    shuffled: Mapping[str, float | None]

    def mean(self, name: str, of_control: bool = False) -> Interval | None:
        """Return the mean of one of MEANS over the letters that were measured; None where none was."""
        values = of_letters(self.control if of_control else self.letters, name)
        seed = int(self.facts["settings"]["seed"])
        return bootstrap(np.asarray(values), n_resamples=_RESAMPLES, seed=seed) if values else None

    @property
    def n_shuffled_able(self) -> int:
        """Return how many probes of shuffled letters reach the bar; there should be none."""
        bar = self.facts["settings"]["bar"]
        return sum(score is not None and score >= bar for score in self.shuffled.values())

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data."""
        means = {}
        for given, of_control in (("dictionary", False), ("random directions", True)):
            found = {name: self.mean(name, of_control) for name in MEANS}
            means[given] = {name: None if one is None else asdict(one) for name, one in found.items()}
        return dict(
            plain(
                {
                    "mean": means,
                    "letters": [asdict(one) for one in self.letters],
                    "random directions": [asdict(one) for one in self.control],
                    "shuffled_f1": self.shuffled,
                    "facts": self.facts,
                }
            )
        )


def of_letters(letters: Sequence[LetterAbsorption], name: str) -> list[float]:
    """Return a number of each letter that was measured."""
    measured = [one for one in letters if one.state == MEASURED]
    if name == "n_split_features":
        return [float(len(one.split_features)) for one in measured]
    return [float(getattr(one, name)) for one in measured]


def first_letter_absorption(
    dictionary: Dictionary,
    model: Model,
    *,
    site: SiteOrPair | None = None,
    settings: AbsorptionSettings | None = None,
    progress: Progress | None = None,
) -> Absorption:
    """Return how far first letters are absorbed in a dictionary of a model's words.

    Raises InputError for a model without words, and for a dictionary that writes elsewhere than it reads.
    """
    how, places = settings or AbsorptionSettings(), places_of(dictionary, site)
    check_writes_where_it_reads(dictionary, places)
    words = words_of(model, how.n_words, how.seed)
    x = read_words(model, places[0], words, progress)
    if x.shape[1] != dictionary.d_in:
        raise InputError(
            f"this {dictionary.kind} dictionary reads {dictionary.d_in} numbers and {places[0]} of {model.identity.name} has "
            f"{x.shape[1]}; give the Site that it was trained at"
        )
    asked = Asked(words.texts, x, words.letters, _tested(words, how))
    probes = letter_probes(asked, how)
    control = random_like(dictionary, x[~asked.is_test], how.seed)
    return Absorption(
        facts=_facts(dictionary, model, words, str(places[0]), how),
        letters=absorption_of(dictionary, asked, probes, how),
        control=absorption_of(control, asked, probes, how),
        shuffled={one.letter: one.f1 for one in _shuffled(asked, how)},
    )


def _tested(words: Words, how: AbsorptionSettings) -> Bool[Tensor, " word"]:
    """Return which words are tested on; a word and the same word with a capital are on one side."""
    drawn = [hashlib.sha256(f"{how.seed}/{text.strip().lower()}".encode()).digest() for text in words.texts]
    return torch.tensor([int.from_bytes(one[:4], "big") / 2**32 < how.test_share for one in drawn])


def _shuffled(asked: Asked, how: AbsorptionSettings) -> list[LetterProbe]:
    order = torch.randperm(len(asked.letters), generator=generator(how.seed, "shuffled letters")).tolist()
    dealt = [asked.letters[number] for number in order]
    return letter_probes(Asked(asked.texts, asked.x, dealt, asked.is_test), how)


def _facts(dictionary: Dictionary, model: Model, words: Words, site: str, how: AbsorptionSettings) -> dict[str, Any]:
    digest = hashlib.sha256("\n".join(words.texts).encode()).hexdigest()
    return {
        "kind": dictionary.kind,
        "n_features": dictionary.n_features,
        "site": site,
        "weights": model.identity.to_dict(),
        "words": {"n": len(words.texts), "sha256": digest, "lines": words.lines},
        "settings": asdict(how),
    }
