"""A text of one's own: split once and for all, encoded so that every byte of the last tenth is accounted for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError, ModelError
from glassbook.text.bpe import END_OF_TEXT
from glassbook.text.corpora import open_corpus
from glassbook.training.own_text import read_own_text, split
from glassbook.training.shapes import new_network

FEW = ["The cat sat on the mat. " * 20, "The dog ate the cät. " * 20]
MANY = [f"Document {number} says é and little more than that. " * 3 for number in range(20)]

documents = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_a_split_loses_nothing_and_holds_back_a_tenth(texts: list[str]) -> None:
    learned, held_back = split(texts)
    assert "".join(learned) + "".join(held_back) == "".join(texts)
    if len(texts) >= 10:
        assert learned + held_back == texts
        assert len(learned) == len(texts) * 9 // 10
    else:
        assert len("".join(learned)) == math.ceil(0.9 * sum(map(len, texts)))


@pytest.mark.parametrize("texts", [FEW, MANY], ids=["cut in a document", "whole documents"])
@pytest.mark.parametrize("kind", ["character", "byte-bpe", "gpt2"])
def test_the_tokens_spell_both_parts_and_their_bytes_are_counted(texts: list[str], kind: str) -> None:
    own = read_own_text(open_corpus(texts), kind, d_vocab=300, context=8)
    learned, held_back = split(texts)
    decode = own.tokenizer.decode
    assert decode(own.train.tolist()) == "".join(END_OF_TEXT + text for text in learned)
    said = decode(own.validation.tolist())
    assert said == ("".join(END_OF_TEXT + text for text in held_back) if texts is MANY else "".join(held_back))
    behind = decode(own.validation[1:].tolist()).replace(END_OF_TEXT, "")
    assert own.validation_bytes == len(behind.encode())
    assert own.opening_text and held_back[0].startswith(own.opening_text)


def test_validation_windows_are_all_of_the_text_or_as_many_as_asked_for() -> None:
    own = read_own_text(open_corpus(MANY), "character", d_vocab=0, context=8)
    whole = [tokens[:, 1:].flatten() for tokens, _ in own.windows(4, 8)]
    assert torch.equal(torch.cat(whole), own.validation[1:].long())
    few = torch.cat([tokens for tokens, _ in own.windows(4, 8, at_most=5)])
    assert few.shape == (5, 9)
    assert torch.equal(few[0], own.validation[:9].long()) and torch.equal(few[-1], own.validation[-9:].long())


def test_who_knows_only_frequencies_pays_the_entropy_of_an_even_text_and_less_of_an_uneven_one() -> None:
    even = read_own_text(open_corpus(["abcd" * 500]), "character", d_vocab=0, context=8)
    assert even.unigram_nats() == pytest.approx(math.log(4), abs=1e-3)
    uneven = read_own_text(open_corpus(["aaaaaaab" * 500]), "character", d_vocab=0, context=8)
    assert uneven.unigram_nats() < 0.4


def test_texts_that_cannot_be_trained_on_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="the text 'given texts' is empty"):
        read_own_text(open_corpus([""]), "character", d_vocab=0, context=8)
    with pytest.raises(InputError, match="is too short: 9 of its tokens are to learn from and 1 for validation"):
        read_own_text(open_corpus(["abcdefghij"]), "character", d_vocab=0, context=16)
    # Enough to learn from is not enough: the last tenth must fill a window too.
    with pytest.raises(InputError, match="90 of its tokens are to learn from and 10 for validation"):
        read_own_text(open_corpus(["abcdefghij" * 10]), "character", d_vocab=0, context=10)
    assert len(read_own_text(open_corpus(["abcdefghij" * 10]), "character", d_vocab=0, context=9).validation) == 10
    with pytest.raises(ModelError, match="no model is named 'nosuch'"):
        read_own_text(open_corpus(MANY), "nosuch", d_vocab=0, context=8)


def test_a_new_network_has_the_sizes_asked_for_and_a_seed_decides_its_weights() -> None:
    sizes = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_vocab": 11, "n_ctx": 8}
    for architecture in ("gpt2", "llama"):
        one, same, other = (new_network(architecture, **sizes, seed=seed) for seed in (1, 1, 2))
        assert one(torch.zeros(1, 8, dtype=torch.int64)).shape == (1, 8, 11)
        assert torch.equal(one.embed.weight, same.embed.weight)
        assert not torch.equal(one.embed.weight, other.embed.weight)
    with pytest.raises(InputError, match="'mamba' cannot be trained anew; choose gpt2 or llama"):
        new_network("mamba", **sizes, seed=0)
    with pytest.raises(InputError, match="3 heads do not divide a stream of 16"):
        new_network("gpt2", **sizes | {"n_heads": 3}, seed=0)
