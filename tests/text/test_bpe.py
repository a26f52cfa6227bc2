"""Byte-level BPE: exact against tiktoken, and the laws of a tokenizer that learns."""

import gzip
import hashlib
import json
import os
import sys
from array import array
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError, InputError
from glassbook.text.bpe import BYTE_ORDER, GPT2_PATTERN, ByteBPE, gpt2_bpe, spell
from oracles.gpt2_texts import shared_texts, shipped_texts

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "gpt2_ids.json").read_text(encoding="utf-8"))
DATA = os.environ.get("GLASSBOOK_DATA")

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
few_letters = st.text("ab c\n", max_size=60)


def _hash_ids(ids: list[int]) -> str:
    words = array("I", ids)
    if sys.byteorder == "big":
        words.byteswap()
    return hashlib.sha256(words.tobytes()).hexdigest()


def _check(name: str, text: str) -> None:
    golden = next(row for row in GOLDEN["texts"] if row["name"] == name)
    assert hashlib.sha256(text.encode()).hexdigest() == golden["text_sha256"], f"{name}: another text than tiktoken's"
    ids = gpt2_bpe().encode(text)
    assert ids[:50] == golden["first_ids"]
    assert (len(ids), _hash_ids(ids)) == (golden["n_ids"], golden["ids_sha256"])
    # Control: the hash sees one wrong id.
    assert _hash_ids([*ids[:-1], ids[-1] ^ 1]) != golden["ids_sha256"]


@pytest.mark.parametrize("row", GOLDEN["odd"], ids=lambda row: ascii(row["text"][:16]))
def test_odd_strings_have_the_ids_that_tiktoken_gives_them(row: dict) -> None:
    assert gpt2_bpe().encode(row["text"]) == row["ids"]
    assert gpt2_bpe().encode(row["text"], allow_special=True) == row["ids_with_special"]


def test_the_shipped_texts_have_the_ids_that_tiktoken_gives_them() -> None:
    for name, text in shipped_texts():
        _check(name, text)


@pytest.mark.skipif(not DATA, reason="GLASSBOOK_DATA names no data folder")
def test_verse_encyclopedia_and_56_languages_have_the_ids_that_tiktoken_gives_them() -> None:
    for name, text in shared_texts(Path(str(DATA))):
        _check(name, text)


def test_the_golden_file_covers_more_than_a_million_bytes() -> None:
    assert sum(row["n_bytes"] for row in GOLDEN["texts"]) > 1_000_000


@pytest.mark.skipif(not DATA, reason="GLASSBOOK_DATA names no data folder")
def test_the_vocabulary_derived_from_the_merges_is_the_published_one() -> None:
    folder = Path(str(DATA)) / "tokenizers" / "gpt2"
    published = json.loads(gzip.decompress((folder / "encoder.json.gz").read_bytes()))
    bpe = gpt2_bpe()
    assert {spell(token): number for number, token in enumerate(bpe.tokens[:-1])} | bpe.special_tokens == published
    assert ByteBPE.load(folder / "vocab.bpe.gz", folder / "encoder.json.gz").merges == bpe.merges


def test_gpt2_has_its_known_numbers() -> None:
    bpe = gpt2_bpe()
    assert (bpe.d_vocab, len(bpe.merges), bpe.special_tokens) == (50257, 50000, {"<|endoftext|>": 50256})
    assert bpe.encode("Hello world") == [15496, 995]


@given(any_text)
def test_decoding_what_was_encoded_gives_the_text_back(text: str) -> None:
    bpe = gpt2_bpe()
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert bpe.decode_bytes(ids) == text.encode()
    # Control: an encoder that loses a token is found out.
    assert not ids or bpe.decode_bytes(ids[:-1]) != text.encode()


def test_text_at_the_edges_of_unicode_comes_back() -> None:
    for text in ("\x00\x00", "🙂‍🙃\u200d", "\U0010ffff", "\ufffd", "a" * 10_000 + "🙂" * 1_000):
        assert gpt2_bpe().decode(gpt2_bpe().encode(text)) == text


def test_half_a_character_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"U\+D800"):
        gpt2_bpe().encode("a\ud800b")


@pytest.mark.parametrize("number", [-1, 50257])
def test_an_id_outside_the_vocabulary_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=str(number)):
        gpt2_bpe().decode([15496, number])
    assert gpt2_bpe().decode([0, 50256]) == "!<|endoftext|>"


def test_a_special_token_in_a_text_is_plain_text_unless_allowed() -> None:
    bpe = gpt2_bpe()
    assert 50256 not in bpe.encode("a<|endoftext|>b")
    assert bpe.encode("a<|endoftext|>b", allow_special=True) == [*bpe.encode("a"), 50256, *bpe.encode("b")]


def _encode_slowly(bpe: ByteBPE, word: bytes) -> list[bytes]:
    """The definition: as long as two neighbors can merge, join the leftmost of the pairs that were learned first."""
    order = {(bpe.tokens[left], bpe.tokens[right]): rank for rank, (left, right) in reversed([*enumerate(bpe.merges)])}
    parts = [bytes([byte]) for byte in word]
    while True:
        found = [(order[pair], at) for at in range(len(parts) - 1) if (pair := (parts[at], parts[at + 1])) in order]
        if not found:
            return parts
        at = min(found)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@given(st.lists(few_letters, min_size=1, max_size=8), st.text("abc", min_size=1, max_size=40))
def test_encoding_follows_the_definition_of_bpe(texts: list[str], word: str) -> None:
    bpe = ByteBPE.train(texts, n_merges=30)
    assert [bpe.tokens[number] for number in bpe.encode(word)] == _encode_slowly(bpe, word.encode())


@settings(max_examples=50)
@given(st.lists(few_letters, max_size=8), st.randoms())
def test_training_depends_on_the_texts_and_not_on_their_order(texts: list[str], random) -> None:
    shuffled = list(texts)
    random.shuffle(shuffled)
    assert ByteBPE.train(texts, n_merges=20).merges == ByteBPE.train(shuffled, n_merges=20).merges


def test_other_texts_teach_other_merges() -> None:
    assert ByteBPE.train(["abab"], n_merges=1).merges != ByteBPE.train(["bcbc"], n_merges=1).merges


@given(st.lists(few_letters, max_size=8))
def test_each_merge_joins_the_most_frequent_pair_of_its_moment(texts: list[str]) -> None:
    full = ByteBPE.train(texts, n_merges=12)
    for step, pair in enumerate(full.merges):
        so_far = ByteBPE(full.merges[:step])
        counts: Counter[tuple[int, int]] = Counter()
        for text in texts:
            for word in (so_far.encode(part) for part in _words(text)):
                counts.update(pairwise(word))
        assert counts[pair] == max(counts.values()) >= 2


def _words(text: str) -> list[str]:
    return regex.findall(GPT2_PATTERN, text)


def test_a_learned_merge_is_used_and_without_it_the_ids_change() -> None:
    bpe = ByteBPE.train(["low lower lowest"], n_merges=2)
    assert [bpe.tokens[number] for number in bpe.encode("low")] == [b"low"]
    assert ByteBPE(bpe.merges[:1]).encode("low") != bpe.encode("low")
    assert ByteBPE([]).encode("low") == [BYTE_ORDER.index(byte) for byte in b"low"]


def test_training_reaches_the_vocabulary_asked_for_and_counts_special_tokens() -> None:
    texts = [text for _, text in shipped_texts()][:1]
    bpe = ByteBPE.train(texts, d_vocab=600, special_tokens=["<|endoftext|>"])
    assert (bpe.d_vocab, bpe.special_tokens) == (600, {"<|endoftext|>": 599})
    assert len(bpe.encode(texts[0])) < 0.7 * len(texts[0].encode())


def test_training_stops_where_no_pair_occurs_twice() -> None:
    assert len(ByteBPE.train(["abc"], n_merges=10).merges) == 0
    assert len(ByteBPE.train(["abcabc"], n_merges=10).merges) == 2


@pytest.mark.parametrize("sizes", [{}, {"n_merges": 1, "d_vocab": 300}, {"d_vocab": 255}, {"n_merges": -1}])
def test_a_vocabulary_of_no_clear_size_is_refused(sizes: dict) -> None:
    with pytest.raises(InputError):
        ByteBPE.train(["a"], **sizes)


def test_a_saved_vocabulary_is_read_back(tmp_path: Path) -> None:
    bpe = ByteBPE.train(["a rose is a rose is a rose"], n_merges=8, special_tokens=["<|endoftext|>", "<|pad|>"])
    bpe.save(tmp_path)
    loaded = ByteBPE.load(tmp_path / "vocab.bpe", tmp_path / "encoder.json")
    assert (loaded.merges, loaded.special_tokens) == (bpe.merges, bpe.special_tokens)
    # Control: the merges alone say nothing of <|pad|>.
    assert ByteBPE.load(tmp_path / "vocab.bpe").special_tokens != bpe.special_tokens


@pytest.mark.parametrize(
    ("content", "said"),
    [("#version: 0.2\nĠ t\nĠt h\nxx y\n", "line 4"), ("a b c\n", "line 1"), ("a 你\n", "line 1"), ("\ud800", "cannot")],
)
def test_a_damaged_merges_file_is_refused_by_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "vocab.bpe"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(FileFormatError, match=said):
        ByteBPE.load(path)


def test_vocabularies_that_disagree_with_the_merges_or_are_cut_short_are_refused(tmp_path: Path) -> None:
    ByteBPE.train(["aaaa"], n_merges=1).save(tmp_path)
    vocabulary = json.loads((tmp_path / "encoder.json").read_text())
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (tmp_path / "swapped.json").write_text(json.dumps(vocabulary))
    (tmp_path / "short.bpe.gz").write_bytes(gzip.compress(b"#version: 0.2\na b\n")[:-9])
    with pytest.raises(FileFormatError, match=r"swapped\.json"):
        ByteBPE.load(tmp_path / "vocab.bpe", tmp_path / "swapped.json")
    with pytest.raises(FileFormatError, match=r"short\.bpe"):
        ByteBPE.load(tmp_path / "short.bpe.gz")
    assert ByteBPE.load(tmp_path / "vocab.bpe", tmp_path / "encoder.json").d_vocab == 257
