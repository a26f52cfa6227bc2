"""Vocabularies of one's own: they spell every text they were made from, and say what they cannot spell."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.text import open_corpus, read_folder, save_folder
from glassbook.text.bpe import END_OF_TEXT, ByteBPE, gpt2_bpe
from glassbook.text.vocabularies import byte_bpe_tokenizer, character_tokenizer, gpt2_tokenizer

any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
ALICE = next(iter(open_corpus("alice", limit=1)))


@settings(max_examples=50, deadline=None)
@given(any_text)
def test_characters_round_trip_and_are_numbered_by_code_point(text: str) -> None:
    tokenizer = character_tokenizer([text])
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids == [sorted(set(text)).index(character) for character in text]
    assert tokenizer.d_vocab == len(set(text))


def test_a_character_that_is_not_in_the_vocabulary_is_refused_by_name() -> None:
    tokenizer = character_tokenizer(["abc\n"], special_tokens=[END_OF_TEXT])
    assert tokenizer.encode("cab\n") == [3, 1, 2, 0]
    with pytest.raises(InputError, match=r"4 characters has no 'é' \(U\+00E9\)"):
        tokenizer.encode_batch(["ab", "abé"])
    # As text, a special token is characters like any other; as a token it is one.
    with pytest.raises(InputError, match="has no '<'"):
        tokenizer.encode(f"a{END_OF_TEXT}")
    assert tokenizer.encode(f"a{END_OF_TEXT}", allow_special=True) == [1, 4]
    with pytest.raises(InputError, match="has no 'z'"):
        tokenizer.encode(f"a{END_OF_TEXT}z", allow_special=True)


@pytest.mark.parametrize("kind", ["character", "byte-bpe"])
def test_a_vocabulary_comes_back_from_its_folder_as_it_was(kind: str, tmp_path: Path) -> None:
    make = character_tokenizer if kind == "character" else lambda texts: byte_bpe_tokenizer(texts, 300)
    tokenizer = make([ALICE])
    save_folder(tokenizer, tmp_path)
    again = read_folder(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(ALICE) == tokenizer.encode(ALICE)
    assert again.decode(again.encode(ALICE)) == ALICE
    assert b"".join(map(again.token_bytes, again.encode(ALICE[:500]))).decode() == ALICE[:500]
    # Control: a vocabulary of another text is another one.
    assert make([ALICE[: len(ALICE) // 2] + "§"]).fingerprint != tokenizer.fingerprint


def test_the_library_learns_the_merges_that_our_own_code_learns() -> None:
    own = ByteBPE.train([ALICE], d_vocab=400, special_tokens=[END_OF_TEXT])
    fast = byte_bpe_tokenizer([ALICE], 400)
    assert fast.d_vocab == own.d_vocab == 400
    assert [fast.token_bytes(number) for number in range(400)] == own.tokens
    assert fast.encode(ALICE) == own.encode(ALICE)
    # Control: fewer merges cut the text otherwise.
    assert byte_bpe_tokenizer([ALICE], 390).encode(ALICE) != own.encode(ALICE)


@settings(max_examples=30, deadline=None)
@given(any_text)
def test_byte_pairs_spell_texts_that_they_were_not_learned_from(text: str) -> None:
    tokenizer = byte_bpe_tokenizer(["a small text, a small vocabulary"], 270)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_small_text_gives_fewer_merges_than_asked_for_and_its_end_of_text_is_last() -> None:
    tokenizer = byte_bpe_tokenizer(["aaaa"], 1000)
    assert 256 < tokenizer.d_vocab < 270
    assert tokenizer.bos_id == tokenizer.eos_id == tokenizer.d_vocab - 1
    assert tokenizer.document_start_id == tokenizer.eos_id
    assert character_tokenizer(["aaaa"]).document_start_id is None


def test_texts_without_a_character_and_vocabularies_that_are_too_small_are_refused() -> None:
    for texts in ([], [""]):
        with pytest.raises(InputError, match="no character"):
            character_tokenizer(texts)
        with pytest.raises(InputError, match="no character"):
            byte_bpe_tokenizer(texts, 300)
    with pytest.raises(InputError, match="256 tokens cannot hold"):
        byte_bpe_tokenizer(["ab"], 256)
    for make in (character_tokenizer, lambda texts: byte_bpe_tokenizer(texts, 300)):
        with pytest.raises(InputError, match="half a character"):
            make(["a\ud800"])


def test_gpt2s_tokenizer_gives_the_ids_of_our_own_byte_pairs() -> None:
    assert gpt2_tokenizer().d_vocab == 50257
    assert gpt2_tokenizer().encode(ALICE) == gpt2_bpe().encode(ALICE)
    assert gpt2_tokenizer().document_start_id == 50256
