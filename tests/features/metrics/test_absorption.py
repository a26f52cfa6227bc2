"""Absorption is found exactly at the words that were planted to be absorbed, and nowhere where nothing absorbs."""

from dataclasses import replace

import pytest
import torch

from conformance.tiny import tiny_model
from features.metrics.planted_letters import EACH, HOW, LETTERS, N, asked, dictionary
from glassbook.activations.capture import capture
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features.metrics.absorption import (
    FEW,
    MEASURED,
    UNABLE,
    Asked,
    LetterAbsorption,
    absorption_of,
    letter_probes,
)
from glassbook.features.metrics.words import read_words, words_of

ABSORBED = (0, 3, 9, 42)
"""Words that are tested on: three of a, one of b."""


def measured(made, given: Asked | None = None) -> dict[str, LetterAbsorption]:
    """Return the absorption of each letter."""
    given = given or asked()
    return {one.letter: one for one in absorption_of(made, given, letter_probes(given, HOW), HOW)}


def test_exactly_the_planted_words_are_absorbed_and_none_of_a_dictionary_without() -> None:
    found, bare = measured(dictionary(ABSORBED)), measured(dictionary())
    own = {word: (f"{LETTERS[word // EACH]}{word}", len(LETTERS) + word) for word in ABSORBED}
    assert found["a"].absorbed == tuple(own[word] for word in ABSORBED[:3])
    assert found["b"].absorbed == (own[42],) and found["c"].absorbed == ()
    for letter, n in (("a", 3), ("b", 1), ("c", 0)):
        one = found[letter]
        assert one.state == MEASURED and one.probe_f1 == 1 and one.split_features == (LETTERS.index(letter),)
        assert one.full_absorption == one.absorption_fraction == n / one.n_right
        assert bare[letter].full_absorption == bare[letter].absorption_fraction == 0 and bare[letter].absorbed == ()


def test_a_word_that_is_carried_half_by_each_is_absorbed_in_part_alone() -> None:
    made = dictionary()
    # What the word's feature writes of its letter is what the letter's own leaves.
    made.encoder[0] -= 1.5 * made.encoder[len(LETTERS)]
    made.decoder[len(LETTERS)] += 1.5 * made.decoder[0]
    one = measured(made)["a"]
    assert one.full_absorption == 0 and one.absorbed == ()
    assert one.absorption_fraction * one.n_right == pytest.approx(0.5, abs=0.05)


def test_order_and_scale_of_features_change_nothing() -> None:
    made, order = dictionary(ABSORBED), torch.randperm(len(LETTERS) + N, generator=generator(1, "order"))
    plain = measured(made)
    made.rescale(torch.rand(len(order), generator=generator(2, "scale")) * 3 + 0.2)
    for one in (made.encoder, made.b_enc, made.decoder):
        one.copy_(one[order])
    for letter, one in measured(made).items():
        assert tuple(int(order[feature]) for feature in one.split_features) == plain[letter].split_features
        assert one.full_absorption == plain[letter].full_absorption
        assert one.absorption_fraction == pytest.approx(plain[letter].absorption_fraction, abs=1e-5)


def test_a_letter_of_two_features_is_split_into_both_and_neither_is_absorption() -> None:
    made = dictionary()
    half = torch.arange(EACH // 2)
    made.encoder[0] -= 4 * made.encoder[len(LETTERS) + half].sum(0)
    made.encoder[len(LETTERS) + N - 1] = made.encoder[0] * 0 + dictionary().encoder[0]
    made.encoder[len(LETTERS) + N - 1] -= 4 * made.encoder[len(LETTERS) + EACH // 2 : len(LETTERS) + EACH].sum(0)
    made.decoder[len(LETTERS) + N - 1] = made.decoder[0]
    one = measured(made)["a"]
    assert set(one.split_features) == {0, len(LETTERS) + N - 1}
    assert one.full_absorption == one.absorption_fraction == 0 and one.split_f1 == 1


def test_shuffled_letters_and_few_words_are_not_able_and_no_zeros() -> None:
    chance = torch.randperm(N, generator=generator(3, "shuffled")).tolist()
    plain = asked()
    mixed = measured(dictionary(ABSORBED), replace(plain, letters=[plain.letters[number] for number in chance]))
    assert {one.state for one in mixed.values()} == {UNABLE}
    rare = replace(plain, letters=["z" if number in (1, 2, 3) else plain.letters[number] for number in range(N)])
    few = measured(dictionary(ABSORBED), rare)
    assert few["z"].state == FEW and few["z"].probe_f1 is None and few["a"].state == MEASURED
    for one in (*mixed.values(), few["z"]):
        assert one.absorption_fraction is one.full_absorption is one.split_f1 is None and one.split_features == ()


def test_one_letter_alone_is_refused() -> None:
    with pytest.raises(InputError, match="words begin with 1 letters"):
        letter_probes(replace(asked(), letters=["a"] * N), HOW)


def test_what_stands_at_a_word_is_the_same_behind_lines_that_were_read_once() -> None:
    model = tiny_model()
    found = replace(words_of(model, 12, 0), lines="A has")
    site = model.sites("L1.resid_post")[0]
    values = read_words(model, site, found)
    head = [model.tokenizer.document_start_id, *model.tokenizer.encode(found.lines)]
    whole = capture(model, [[*head, word] for word in found.ids], site, positions=-1)[site][:, 0]
    assert torch.allclose(values, whole, atol=1e-5)
    other = read_words(model, site, replace(found, lines="B has"))
    assert not torch.allclose(other, values, atol=1e-3)


def test_words_are_letters_of_the_vocabulary_and_repeat() -> None:
    model = tiny_model()
    found = words_of(model, 1000, 0)
    assert found == words_of(model, 1000, 0) != words_of(model, 1000, 1)
    assert [model.tokenizer.token_strings([one])[0] for one in found.ids] == list(found.texts)
    assert all(text.strip().isalpha() for text in found.texts) and set(found.letters) <= set(
        "abcdefghijklmnopqrstuvwxyz"
    )
    examples = [line.split()[0] for line in found.lines.splitlines()]
    assert len(examples) == 10 and not set(examples) & set(found.texts)
