"""Byte-level byte-pair encoding from scratch: the tokenizer of GPT-2, trained, saved, loaded and run.

The idea in three steps. (1) A text is cut into words by a regular expression, and no token ever crosses a cut. (2) Each
word is its UTF-8 bytes, so that 256 tokens can spell any text. (3) Training joins the most frequent neighboring pair of
tokens into a new token, again and again; encoding replays those merges in the order in which they were learned.

Sennrich, Haddow and Birch 2016 (arXiv:1508.07909), algorithm 1, brought byte-pair encoding to language models; Radford
et al. 2019 ("Language Models are Unsupervised Multitask Learners", section 2.2) put it on bytes behind a split pattern.
"""

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path

import regex

from glassbook.core.errors import FileFormatError, InputError

# Contractions; then letters, digits or other signs, each run with one space before it; then the white space left.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
END_OF_TEXT = "<|endoftext|>"
_SPLIT = regex.compile(GPT2_PATTERN)

Pair = tuple[int, int]


def _byte_order() -> list[int]:
    """Return the 256 bytes in GPT-2's order: those that print in Latin-1 first, then the others."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return printing + [byte for byte in range(256) if byte not in printing]


BYTE_ORDER = _byte_order()
# Files hold no raw bytes: the bytes that do not print are written as the letters from U+0100 on, so a space is `Ġ`.
BYTE_TO_CHAR = {byte: chr(byte) if rank < 188 else chr(256 + rank - 188) for rank, byte in enumerate(BYTE_ORDER)}
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}
_BYTE_TO_ID = {byte: rank for rank, byte in enumerate(BYTE_ORDER)}


def spell(token: bytes) -> str:
    """Return `token` in the printable spelling that vocabulary files use."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def unspell(text: str) -> bytes:
    """Return the bytes that a vocabulary file's spelling stands for; raise KeyError for other letters."""
    return bytes(CHAR_TO_BYTE[char] for char in text)


class ByteBPE:
    """A byte-level BPE vocabulary: ids 0 to 255 are the bytes, then come the merges in order, then special tokens."""

    def __init__(self, merges: Iterable[Pair], special_tokens: Sequence[str] = ()) -> None:
        self.merges = list(merges)
        self.tokens = [bytes([byte]) for byte in BYTE_ORDER]
        self._rank: dict[Pair, tuple[int, int]] = {}
        ids = {token: number for number, token in enumerate(self.tokens)}
        for rank, (left, right) in enumerate(self.merges):
            joined = self.tokens[left] + self.tokens[right]
            # Two merges may spell the same token ("ab" + "c", "a" + "bc"); it keeps one id.
            if ids.setdefault(joined, len(self.tokens)) == len(self.tokens):
                self.tokens.append(joined)
            self._rank[left, right] = rank, ids[joined]
        self.special_tokens = {text: len(self.tokens) + i for i, text in enumerate(special_tokens)}
        self.tokens += [text.encode() for text in self.special_tokens]
        self._special = regex.compile("|".join(map(regex.escape, self.special_tokens)) or r"(?!)")
        self._words: dict[str, list[int]] = {}

    @property
    def d_vocab(self) -> int:
        """Return the number of tokens, special ones included."""
        return len(self.tokens)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        n_merges: int | None = None,
        d_vocab: int | None = None,
        special_tokens: Sequence[str] = (),
    ) -> "ByteBPE":
        """Return a vocabulary learned from `texts`, of `n_merges` merges or of `d_vocab` tokens in all.

        Fewer are learned where no pair occurs twice. The order of the texts does not matter: ties go to the pair of the
        lowest ids. Raises InputError unless exactly one size is given. Sennrich et al. 2016, algorithm 1.
        """
        if (n_merges is None) == (d_vocab is None):
            raise InputError("say how large the vocabulary should be by exactly one of n_merges and d_vocab")
        limit = n_merges if d_vocab is None else d_vocab - 256 - len(special_tokens)
        if limit is None or limit < 0:
            n_special = len(special_tokens)
            asked = f"{d_vocab} tokens" if n_merges is None else f"{n_merges} merges"
            raise InputError(f"{asked} cannot hold 256 bytes and {n_special} special tokens; ask for more")
        words = Counter(word for text in texts for word in _SPLIT.findall(text))
        learner = _Learner(words)
        while len(learner.merges) < limit if d_vocab is None else len(learner.ids) < 256 + limit:
            if not learner.merge_most_frequent():
                break
        return cls(learner.merges, special_tokens)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`; special tokens spelled in it are plain text unless `allow_special`."""
        if not allow_special:
            return self._encode_plain(text)
        ids: list[int] = []
        start = 0
        for found in self._special.finditer(text):
            ids += self._encode_plain(text[start : found.start()])
            ids.append(self.special_tokens[found.group()])
            start = found.end()
        return ids + self._encode_plain(text[start:])

    def _encode_plain(self, text: str) -> list[int]:
        known, ids = self._words, []
        for word in _SPLIT.findall(text):
            found = known.get(word)
            if found is None:
                found = self._encode_word(word)
                # Words repeat (Zipf), long ones hardly ever do.
                if len(word) <= 32 and len(known) < 1_000_000:
                    known[word] = found
            ids += found
        return ids

    def _encode_word(self, word: str) -> list[int]:
        """Return the ids of one word by replaying the merges, the earliest learned first and from the left.

        The heap holds the pairs that could merge, a linked list the tokens still there: n log n for a word of n bytes.
        """
        ids = _bytes_to_ids(word)
        after = list(range(1, len(ids) + 1))
        before = list(range(-1, len(ids) - 1))
        rank = self._rank
        heap = [(rank[pair][0], at, pair) for at, pair in enumerate(pairwise(ids)) if pair in rank]
        heapify(heap)
        while heap:
            _, at, pair = heappop(heap)
            right = after[at]
            if right == len(ids) or (ids[at], ids[right]) != pair:
                continue  # one of the two has merged with another neighbor since
            ids[at], ids[right] = rank[pair][1], -1
            after[at] = end = after[right]
            if end < len(ids):
                before[end] = at
                _push(heap, rank, at, (ids[at], ids[end]))
            if (start := before[at]) >= 0:
                _push(heap, rank, start, (ids[start], ids[at]))
        return [number for number in ids if number >= 0]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes that `ids` spell; raise InputError for an id outside the vocabulary."""
        tokens, parts = self.tokens, []
        for number in ids:
            if not 0 <= number < len(tokens):
                raise InputError(f"no token has the id {number}; ids run from 0 to {len(tokens) - 1}")
            parts.append(tokens[number])
        return b"".join(parts)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that `ids` spell; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def save(self, folder: Path | str) -> None:
        """Write `vocab.bpe` and `encoder.json`, the two files of GPT-2's release, into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{spell(self.tokens[left])} {spell(self.tokens[right])}" for left, right in self.merges]
        (folder / "vocab.bpe").write_text("\n".join(["#version: 0.2", *lines, ""]), encoding="utf-8")
        n_plain = self.d_vocab - len(self.special_tokens)
        vocabulary = {spell(token): number for number, token in enumerate(self.tokens[:n_plain])}
        (folder / "encoder.json").write_text(json.dumps(vocabulary | self.special_tokens), encoding="utf-8")

    @classmethod
    def load(cls, merges_file: Path | str, vocabulary_file: Path | str | None = None) -> "ByteBPE":
        """Return the vocabulary of a `vocab.bpe` and, for its special tokens, an `encoder.json` (gzipped or not).

        Without the second file the only special token is `<|endoftext|>`, as in GPT-2. Raises FileFormatError where a
        file is damaged or the two disagree.
        """
        merges = _read_merges(Path(merges_file))
        if vocabulary_file is None:
            return cls(merges, [END_OF_TEXT])
        vocabulary = _read_vocabulary(Path(vocabulary_file))
        plain = cls(merges)
        special = sorted(vocabulary.items(), key=lambda item: item[1])[plain.d_vocab :]
        loaded = cls(merges, [text for text, _ in special])
        expected = {spell(token): number for number, token in enumerate(plain.tokens)} | loaded.special_tokens
        if expected != vocabulary:
            raise FileFormatError(
                f"{vocabulary_file} does not number its tokens as bytes, merges of {merges_file}, special tokens; "
                "open such a tokenizer with glassbook.text.open_tokenizer"
            )
        return loaded


class _Learner:
    """The state of training: every distinct word as ids, the counts of all pairs, and where each pair occurs.

    A merge touches only the words that hold its pair, so the counts are brought up to date there and nowhere else.
    """

    def __init__(self, words: Counter[str]) -> None:
        self.merges: list[Pair] = []
        self.tokens = [bytes([byte]) for byte in BYTE_ORDER]
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.words = [_bytes_to_ids(word) for word in words]
        self.counts = list(words.values())
        self.pairs: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        for place, (word, count) in enumerate(zip(self.words, self.counts, strict=True)):
            for pair in pairwise(word):
                self.pairs[pair] += count
                self.places[pair].add(place)
        self.heap = [(-count, pair) for pair, count in self.pairs.items()]
        heapify(self.heap)

    def merge_most_frequent(self) -> bool:
        """Join the most frequent pair everywhere and return True, or False where no pair occurs twice."""
        while self.heap:
            count, pair = heappop(self.heap)
            if -count != self.pairs[pair]:
                continue  # an entry from before the count changed
            if -count < 2:
                return False
            joined = self.tokens[pair[0]] + self.tokens[pair[1]]
            if self.ids.setdefault(joined, len(self.tokens)) == len(self.tokens):
                self.tokens.append(joined)
            self.merges.append(pair)
            self._join_everywhere(pair, self.ids[joined])
            return True
        return False

    def _join_everywhere(self, pair: Pair, joined: int) -> None:
        changed: set[Pair] = set()
        for place in self.places.pop(pair):
            old, count = self.words[place], self.counts[place]
            new = _join(old, pair, joined)
            for gone in pairwise(old):
                self.pairs[gone] -= count
                changed.add(gone)
            for come in pairwise(new):
                self.pairs[come] += count
                self.places[come].add(place)
                changed.add(come)
            self.words[place] = new
        for touched in changed:
            if self.pairs[touched] > 0:
                heappush(self.heap, (-self.pairs[touched], touched))
            else:
                del self.pairs[touched]


def _join(word: list[int], pair: Pair, joined: int) -> list[int]:
    """Return `word` with each occurrence of `pair`, from the left, replaced by `joined`."""
    new: list[int] = []
    at = 0
    while at < len(word):
        if word[at] == pair[0] and at + 1 < len(word) and word[at + 1] == pair[1]:
            new.append(joined)
            at += 2
        else:
            new.append(word[at])
            at += 1
    return new


def _push(heap: list[tuple[int, int, Pair]], rank: dict[Pair, tuple[int, int]], at: int, pair: Pair) -> None:
    found = rank.get(pair)
    if found is not None:
        heappush(heap, (found[0], at, pair))


def _bytes_to_ids(word: str) -> list[int]:
    try:
        return [_BYTE_TO_ID[byte] for byte in word.encode()]
    except UnicodeEncodeError as error:
        lone = f"U+{ord(word[error.start]):04X}"
        raise InputError(f"the text holds half a character ({lone}), which no UTF-8 spells; remove it") from None


def _read_merges(path: Path) -> list[Pair]:
    tokens = {bytes([byte]): number for number, byte in enumerate(BYTE_ORDER)}
    merges: list[Pair] = []
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        try:
            left, right = map(unspell, line.split(" "))
            merges.append((tokens[left], tokens[right]))
        except (KeyError, ValueError):
            shown = f"{path}, line {number}: '{line[:40]}'"
            raise FileFormatError(f"{shown} joins no two known tokens; fetch it again") from None
        tokens.setdefault(left + right, len(tokens))
    return merges


def _read_vocabulary(path: Path) -> dict[str, int]:
    try:
        vocabulary = json.loads(_read_text(path))
    except (ValueError, RecursionError):
        raise FileFormatError(f"{path} is not JSON; fetch it again") from None
    if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
        raise FileFormatError(f"{path} does not map tokens to ids; a file like GPT-2's encoder.json is needed")
    return vocabulary


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; give the path of a vocab.bpe or encoder.json") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileFormatError(f"{path} cannot be read ({error}); fetch it again") from None


@lru_cache
def gpt2_bpe() -> ByteBPE:
    """Return GPT-2's own vocabulary of 50,257 tokens, from the merges in the package (no network)."""
    with as_file(files("glassbook.text") / "data" / "gpt2_vocab.bpe.gz") as path:
        return ByteBPE.load(path)
