"""Tokenizers in GGUF metadata: both kinds against their oracle, and a refusal for what is not known."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend

from glassbook.core.errors import FileFormatError
from glassbook.text import gpt2_bpe, read_metadata
from glassbook.text.bpe import ByteBPE, spell
from glassbook.text.formats.gguf import CUTS
from oracles.gpt2_texts import ODD_STRINGS, shipped_texts

PIECES = json.loads((Path(__file__).parents[1] / "golden" / "sentencepiece.json").read_text(encoding="utf-8"))


@cache
def _small_bpe() -> ByteBPE:
    return ByteBPE.train([dict(shipped_texts())["alice"]], n_merges=400, special_tokens=["<|endoftext|>"])


def _gpt2_metadata(bpe: ByteBPE | None = None, **changes: Any) -> dict[str, Any]:
    """Return the metadata of a byte-level vocabulary as the converters write them, one row of padding included."""
    bpe = bpe or _small_bpe()
    end = bpe.d_vocab - 1
    tokens = [*map(spell, bpe.tokens[:-1]), "<|endoftext|>", f"[PAD{end + 1}]"]
    metadata = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens,
        "token_type": np.array([1] * end + [3, 5], np.int32),
        "merges": [f"{spell(bpe.tokens[left])} {spell(bpe.tokens[right])}" for left, right in bpe.merges],
        "bos_token_id": end,
        "eos_token_id": end,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in (metadata | changes).items() if value is not None}


def _llama_metadata(**changes: Any) -> dict[str, Any]:
    metadata = {
        "model": "llama",
        "tokens": PIECES["tokens"],
        "scores": np.array(PIECES["scores"], np.float32),
        "token_type": np.array(PIECES["types"], np.int32),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in (metadata | changes).items() if value is not None}


def test_gpt2_in_metadata_is_gpt2() -> None:
    found, ours = read_metadata(_gpt2_metadata(gpt2_bpe())), gpt2_bpe()
    for text in ODD_STRINGS:
        assert found.encode(text) == ours.encode(text)
        assert found.encode(text, allow_special=True) == ours.encode(text, allow_special=True)
    # The row that only fills the matrix up is no token.
    assert (found.d_vocab, found.bos_id, found.adds_bos) == (50257, 50256, False)


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("gpt-2", ["don", "'t", " 1234", "\n\n", " ok", "!", "\n"]),
        ("smollm", ["don", "'t", " ", "1", "2", "3", "4", "\n\n", " ok", "!", "\n"]),
        ("llama-bpe", ["don", "'t", " ", "123", "4", "\n\n", " ok", "!\n"]),
        ("qwen2", ["don", "'t", " ", "1", "2", "3", "4", "\n\n", " ok", "!\n"]),
    ],
)
def test_each_family_cuts_numbers_and_line_ends_its_own_way(name: str, pieces: list[str]) -> None:
    found = read_metadata(_gpt2_metadata(pre=name))
    cuts = Backend.from_str(found.to_json()).pre_tokenizer.pre_tokenize_str("don't 1234\n\n ok!\n")
    assert [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece, _ in cuts] == pieces


def test_every_documented_cut_keeps_the_text() -> None:
    text = "It's 12,345 – naïve\r\n\r\n  e\u0301 好的!\n"  # qwen2 joins e and the accent
    for name, cut in CUTS.items():
        found = read_metadata(_gpt2_metadata(pre=name))
        assert (found.decode(found.encode(text)) == text) == (not cut.normalizes), name


def test_sentencepiece_in_metadata_gives_the_ids_that_sentencepiece_gives() -> None:
    found = read_metadata(_llama_metadata())
    for row in PIECES["strings"]:
        assert found.encode(row["text"]) == row["ids"], row["text"][:40]
    assert (found.bos_id, found.adds_bos, found.document_start_id) == (1, True, 1)


def test_sentencepiece_tokens_read_as_text() -> None:
    found = read_metadata(_llama_metadata())
    ids = found.encode("the 🙃")
    assert found.decode(ids) == "the 🙃"
    assert "".join(found.token_strings(ids)).startswith(" the ")
    assert found.token_strings(ids)[-1] == "\\x83"


def test_other_scores_give_other_ids() -> None:
    text = PIECES["strings"][-1]["text"]
    turned = read_metadata(_llama_metadata(scores=-np.array(PIECES["scores"], np.float32)))
    assert turned.encode(text) != PIECES["strings"][-1]["ids"]


@pytest.mark.parametrize("name", ["tekken", None, 7])
def test_an_unknown_cut_is_refused_by_name(name: object) -> None:
    with pytest.raises(FileFormatError, match=repr(name)):
        read_metadata(_gpt2_metadata(pre=name))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "bert"}, "'bert'"),
        ({"tokens": None}, "no tokenizer"),
        ({"tokens": ["a", "a"], "token_type": None, "merges": []}, "token"),
        ({"tokens": 3}, "tokens"),
        ({"token_type": np.array([1, 1])}, "2 token types"),
        ({"merges": ["a"]}, "merges"),
        ({"merges": ["zz qq"]}, "merges"),
        ({"merges": 5}, "merges"),
        ({"eos_token_id": 60_000}, "eos_token_id"),
        ({"bos_token_id": "x"}, "bos_token_id"),
    ],
)
def test_metadata_that_contradict_themselves_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FileFormatError, match=said):
        read_metadata(_gpt2_metadata(**changes), "small.gguf")


def test_sentencepiece_without_its_scores_is_refused() -> None:
    with pytest.raises(FileFormatError, match="0 scores"):
        read_metadata(_llama_metadata(scores=None))
