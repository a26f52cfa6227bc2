"""The tokenizer as tables for `model.c`, where its rules are those that the file knows."""

import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import regex

from glassbook.text.bpe import CHAR_TO_BYTE
from glassbook.text.tokenizer import Tokenizer
from glassbook.text.vocabularies import ANY_CHARACTER

NO_TOKENIZER, CHARACTERS, BYTE_PAIRS = range(3)
_KINDS = {r"\p{L}": 1, r"\p{N}": 2, r"\s": 3}
# What a byte-level BPE may say beside its vocabulary and merges without encoding otherwise than GPT-2's.
_PLAIN_BPE = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tables: bytes of every token, merges as (left, right, rank, joined), characters as (first, last, kind).

    Where `kind` is NO_TOKENIZER, `model.c` reads and writes ids only, and `why_ids_only` says why.
    """

    kind: int = NO_TOKENIZER
    tokens: tuple[bytes, ...] = ()
    merges: tuple[tuple[int, int, int, int], ...] = ()
    why_ids_only: str = ""

    @property
    def ranges(self) -> list[tuple[int, int, int]]:
        """Return the kinds of characters at which words are cut; none where nothing is cut."""
        return character_ranges() if self.kind == BYTE_PAIRS else []

    def to_bytes(self) -> bytes:
        """Return the tables one after another, little-endian, as `model.c` takes them."""
        ends = np.cumsum([len(token) for token in self.tokens])
        tables = (np.array(self.ranges, "<i4"), np.array(self.merges, "<i4"), np.asarray(ends, "<u4"))
        return b"".join(table.tobytes() for table in tables) + b"".join(self.tokens)


def read_vocabulary(tokenizer: Tokenizer | None) -> Vocabulary:
    """Return the tables of a character-level tokenizer or one by GPT-2's rules, and for any other none with the reason."""
    if tokenizer is None:
        return Vocabulary(why_ids_only="the model has no tokenizer")
    state = json.loads(tokenizer.to_json())
    tokens = tuple(tokenizer.token_bytes(number) for number in range(tokenizer.d_vocab))
    if any(not token["special"] for token in state["added_tokens"]):
        return Vocabulary(why_ids_only="its tokenizer has added tokens that are no special ones")
    if _is_of_characters(state):
        return Vocabulary(CHARACTERS, tokens)
    if _is_gpt2_like(state):
        return Vocabulary(BYTE_PAIRS, tokens, _merges(state["model"]))
    return Vocabulary(why_ids_only="its tokenizer is neither one of characters nor a byte-level BPE with GPT-2's rules")


def _is_of_characters(state: dict[str, Any]) -> bool:
    """Return whether a tokenizer gives every character the token that is spelled so, and has no token for the unknown."""
    cut, model = state["pre_tokenizer"] or {}, state["model"]
    return (
        state["normalizer"] is None
        and cut.get("type") == "Split"
        and cut["pattern"] == {"Regex": ANY_CHARACTER}
        and cut["behavior"] == "Isolated"
        and model["type"] == "WordLevel"
        and model["unk_token"] not in model["vocab"]
        and all(len(token) == 1 for token in model["vocab"])
    )


def _is_gpt2_like(state: dict[str, Any]) -> bool:
    """Return whether a tokenizer cuts and joins as GPT-2's: bytes, its split pattern, merges in order."""
    cut, model = state["pre_tokenizer"] or {}, state["model"]
    return (
        state["normalizer"] is None
        and cut.get("type") == "ByteLevel"
        and not cut["add_prefix_space"]
        and cut.get("use_regex", True)
        and model["type"] == "BPE"
        and not any(model.get(name) for name in _PLAIN_BPE)
        and all(char in model["vocab"] for char in CHAR_TO_BYTE)
    )


def _merges(model: dict[str, Any]) -> tuple[tuple[int, int, int, int], ...]:
    """Return the merges in the order of their pairs, in which they are searched."""
    ids = model["vocab"]
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    return tuple(sorted((ids[a], ids[b], rank, ids[a + b]) for rank, (a, b) in enumerate(pairs)))


@lru_cache
def character_ranges() -> list[tuple[int, int, int]]:
    """Return which characters are letters (1), numbers (2) and white space (3), as ranges in rising order."""
    found = []
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for pattern, kind in _KINDS.items():
        found += [(run.start(), run.end() - 1, kind) for run in regex.finditer(f"{pattern}+", everything)]
    return sorted(found)
