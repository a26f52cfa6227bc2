"""What a label says, as something one can run: a rule tells of each token of a passage whether it is what the label means.

Rules are plain data, so that a label that was kept can be run again on any text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from glassbook.features.labels.lexicon import CLASSES, COUNTED, FUNCTION_WORDS
from glassbook.features.labels.passages import Passages

KINDS = ("token", "position", "n-gram", "script", "document", "none")
"""What a label may rest on, the simplest first; `none` where no rule fits."""

Where = Bool[NDArray[Any], "n length"]
_CLASS_TEXTS = {
    "digits": "numbers in digits",
    "punctuation": "punctuation",
    "line end": "line ends",
    "capital": "words that begin with a capital",
    "capitals": "words in capitals",
}
_LEAST_FUNCTION_WORDS = 3


class Words(msgspec.Struct, frozen=True, tag="words"):
    """Tokens of certain words, whatever their case and the space before them."""

    words: tuple[str, ...]

    kind = "token"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return f"{'the word' if len(self.words) == 1 else 'one of the words'} {listed(self.words)}"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return _among(passages.words, passages.lexicon.word_numbers(self.words))


class Begins(msgspec.Struct, frozen=True, tag="begins"):
    """Tokens whose word begins with certain letters, such as all forms of a verb."""

    letters: str

    kind = "token"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return f"words that begin with {_quoted(self.letters)}"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return _among(passages.words, passages.lexicon.words_that_begin(self.letters))


class Token(msgspec.Struct, frozen=True, tag="token"):
    """Tokens of exactly this text, its case and the space before it included."""

    token: str

    kind = "token"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return f"the token {_quoted(self.token)}"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return _among(passages.forms, passages.lexicon.form_numbers([self.token]))


class After(msgspec.Struct, frozen=True, tag="after"):
    """The last token of a run whose words are each among those of its place; no words at a place mean any."""

    places: tuple[tuple[str, ...], ...]

    kind = "n-gram"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        *before, last = self.places
        what = f"{'the word' if len(last) == 1 else 'one of the words'} {listed(last)}" if last else "the token"
        return f"{what} after {' '.join(listed(words, ' or ') for words in before)}"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        found = passages.there.copy()
        for back, words in enumerate(reversed(self.places)):
            here = passages.there if not words else _among(passages.words, passages.lexicon.word_numbers(words))
            found[:, :back] = False
            found[:, back:] &= here[:, : here.shape[1] - back]
        return found


class Positions(msgspec.Struct, frozen=True, tag="positions"):
    """Tokens that stand so far from the beginning of what the model reads."""

    first: int
    last: int

    kind = "position"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        many = f"positions {self.first} to {self.last}" if self.last > self.first else f"position {self.first}"
        return f"{many} of what the model reads"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return passages.there & (passages.positions >= self.first) & (passages.positions <= self.last)


class Written(msgspec.Struct, frozen=True, tag="written"):
    """Tokens of one script, or written in one way: digits, punctuation, line ends, capitals."""

    name: str

    kind = "script"

    def __post_init__(self) -> None:
        _check(self.name, CLASSES)

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return _CLASS_TEXTS.get(self.name, f"{self.name} letters")

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return passages.lexicon.classes[:, CLASSES.index(self.name)][passages.tokens]


class Language(msgspec.Struct, frozen=True, tag="language"):
    """Passages in one language, to judge by its common short words."""

    name: str

    kind = "script"

    def __post_init__(self) -> None:
        _check(self.name, tuple(FUNCTION_WORDS))

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return f"text in {self.name.removesuffix(' language')}"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        counts = passages.lexicon.function_words[passages.tokens].sum(1)
        ours = counts[:, list(FUNCTION_WORDS).index(self.name)]
        return passages.there & ((ours >= _LEAST_FUNCTION_WORDS) & (ours == counts.max(1)))[:, None]


class Document(msgspec.Struct, frozen=True, tag="document"):
    """Passages of certain documents of the corpus, by number."""

    numbers: tuple[int, ...]

    kind = "document"

    @property
    def text(self) -> str:
        """Return the rule in words."""
        several = "documents" if len(self.numbers) > 1 else "document"
        return f"text of {several} {', '.join(map(str, self.numbers))} of the corpus"

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        return passages.there & np.isin(passages.documents, self.numbers)[:, None]


class Manner(msgspec.Struct, frozen=True, tag="manner"):
    """Passages of one kind of text, to judge by the characters they are made of."""

    name: str

    kind = "document"

    def __post_init__(self) -> None:
        _check(self.name, tuple(MANNERS))

    @property
    def text(self) -> str:
        """Return the rule in words."""
        return MANNERS[self.name][0]

    def holds(self, passages: Passages) -> Where:
        """Return at which tokens the rule holds."""
        sums = passages.lexicon.counted[passages.tokens].sum(1)
        counts = dict(zip(COUNTED, sums.T, strict=True)) | {"tokens": passages.there.sum(1)}
        return passages.there & MANNERS[self.name][1](counts)[:, None]


Counts = Mapping[str, NDArray[Any]]
MANNERS: Mapping[str, tuple[str, Callable[[Counts], NDArray[Any]]]] = {
    "lines": ("text in short lines", lambda c: 8 * c["line ends"] >= c["tokens"]),
    "speech": ("text between quotation marks", lambda c: c["quotes"] >= 2),
    "code": ("code", lambda c: 12 * c["code signs"] >= c["characters"]),
    "figures": ("text full of figures", lambda c: 5 * c["digits"] >= c["characters"]),
    "capitals": ("text in capitals", lambda c: (2 * c["upper case"] >= c["letters"]) & (c["letters"] > 0)),
}
"""Each kind of text in words, and how it shows in a passage."""

Rule = Words | Begins | Token | After | Positions | Written | Language | Document | Manner


def listed(words: Sequence[str], between: str = ", ") -> str:
    """Return words between quotation marks, one after another."""
    return between.join(map(_quoted, words))


def _among(numbers: NDArray[Any], wanted: Sequence[int]) -> Where:
    found = np.zeros(numbers.shape, bool)
    for number in wanted:
        found |= numbers == number
    return found


def _check(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"no rule is called '{name[:40]}'; known: {', '.join(known)}")


def _quoted(text: str) -> str:
    return f"“{text}”".replace("\n", "\\n").replace("\t", "\\t")
