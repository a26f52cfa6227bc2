"""First-letter absorption of a model's own words: what is measured, beside which controls, and what is refused."""

import dataclasses

import pytest
import torch

from conformance.tiny import tiny_model
from features.spliced import PAIR, words
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.core.sites import Site
from glassbook.features import Dictionary, make_dictionary
from glassbook.features.metrics.absorption import FEW, MEASURED, UNABLE, AbsorptionSettings
from glassbook.features.metrics.first_letters import MEANS, Absorption, first_letter_absorption
from glassbook.features.metrics.words import Words
from glassbook.features.opening import shipped_model
from glassbook.models.loading.opening import open_model
from glassbook.models.model import Model

HOW = AbsorptionSettings(n_words=600, fewest=5)
SITE = "L1.resid_post"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def bookworm():
    """Return the small model that ships."""
    return open_model(shipped_model())


def lettered(d: int) -> Dictionary:
    """Return a dictionary whose first features are the letters."""
    made = make_dictionary("standard", d, 40).requires_grad_(False)
    made.encoder[: len(ALPHABET)] = torch.eye(d)[: len(ALPHABET)]
    made.decoder.copy_(made.encoder)
    made.b_enc.fill_(-1)
    return made


def planted(model: Model, site: Site, found: Words, progress: object = None) -> torch.Tensor:
    """Return words as if a model had a direction for each first letter, and little else."""
    d = model.config.d_model
    places = torch.tensor([ALPHABET.index(letter) for letter in found.letters])
    return 4 * torch.eye(d)[places] + 0.1 * torch.randn(
        len(places), d, generator=generator(0, "planted", *found.texts[:9])
    )


def measured(model: Model, how: AbsorptionSettings = HOW) -> Absorption:
    """Return what is found where letters are planted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassbook.features.metrics.first_letters.read_words", planted)
        return first_letter_absorption(lettered(model.config.d_model), model, site=SITE, settings=how)


@pytest.fixture(scope="module")
def found(bookworm) -> Absorption:
    """Return what is found with the usual settings."""
    return measured(bookworm)


def test_letters_are_measured_beside_random_directions_and_shuffled_letters(found) -> None:
    states = [one.state for one in found.letters]
    assert states.count(MEASURED) >= 10 and [one.state for one in found.control] == states
    for one in found.letters:
        if one.state == MEASURED:
            assert one.split_features == (ALPHABET.index(one.letter),) and one.split_f1 == one.probe_f1 == 1
            assert one.absorption_fraction == one.full_absorption == 0
    assert found.mean("n_split_features").estimate == 1 < found.mean("n_split_features", of_control=True).estimate
    assert [one.letter for one in found.letters] == sorted(found.shuffled) and found.n_shuffled_able == 0
    assert max(score for score in found.shuffled.values() if score is not None) < 0.3
    assert found.facts["words"]["n"] == 600


def test_means_are_of_the_letters_that_were_measured(found) -> None:
    document = found.to_dict()["mean"]
    assert set(document) == {"dictionary", "random directions"} and set(document["dictionary"]) == set(MEANS)
    n = sum(one.state == MEASURED for one in found.letters)
    assert 0 < document["dictionary"]["probe_f1"]["n"] == n < len(found.letters)
    split = [len(one.split_features) for one in found.control if one.state == MEASURED]
    assert document["random directions"]["n_split_features"]["estimate"] == sum(split) / n


@pytest.mark.slow
def test_the_same_is_found_again_and_of_other_words_something_else(bookworm, found) -> None:
    few = dataclasses.replace(HOW, n_words=200, fewest=2)
    first, again, other = (measured(bookworm, dataclasses.replace(few, seed=seed)).to_dict() for seed in (0, 0, 1))
    assert first == again and first["letters"] != other["letters"] and first["letters"] != found.to_dict()["letters"]


def test_a_model_whose_stream_tells_no_letter_has_no_mean(bookworm) -> None:
    d = bookworm.config.d_model
    none = first_letter_absorption(make_dictionary("identity", d, d), bookworm, site=SITE, settings=HOW)
    assert {one.state for one in none.letters} == {UNABLE, FEW}
    assert [none.mean(name) for name in MEANS] == [None] * len(MEANS)
    assert set(none.to_dict()["mean"]["dictionary"].values()) == {None}


def test_what_cannot_be_measured_is_said_in_a_sentence(bookworm) -> None:
    model = tiny_model()
    with pytest.raises(InputError, match="writes elsewhere than it reads"):
        first_letter_absorption(words(model, "transcoder", PAIR), model)
    with pytest.raises(InputError, match="the lines before each word are"):
        first_letter_absorption(words(model), model)
    with pytest.raises(InputError, match="reads 32 numbers and L1"):
        first_letter_absorption(make_dictionary("identity", 32, 32), bookworm, site=SITE, settings=HOW)
    with pytest.raises(InputError, match="absorption needs words"):
        AbsorptionSettings(n_words=0)


def test_a_vocabulary_without_letters_has_no_words(monkeypatch) -> None:
    model = tiny_model()
    monkeypatch.setattr(type(model.tokenizer), "token_strings", lambda self, ids: ["1"] * len(list(ids)))
    with pytest.raises(InputError, match="has 0 words of letters"):
        first_letter_absorption(words(model), model)
