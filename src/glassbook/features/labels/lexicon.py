"""What can be said of a token by its text alone: its word, its script, the characters it brings into a passage."""

import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

SCRIPTS = (
    "Latin",
    "Greek",
    "Cyrillic",
    "Hebrew",
    "Arabic",
    "Devanagari",
    "Thai",
    "Hangul",
    "Hiragana",
    "Katakana",
    "CJK",
    "Armenian",
    "Georgian",
)
"""As the names of Unicode's letters begin."""
CLASSES = (*SCRIPTS, "digits", "punctuation", "line end", "capital", "capitals")

CODE_SIGNS = frozenset("{}()[];=<>_\\|&+*/#")
QUOTES = frozenset('"“”«')
COUNTED = ("characters", "letters", "upper case", "digits", "line ends", "quotes", "code signs")

_COMMON = {
    "English": "the of and to in that was he his with for had not but which this from",
    "French": "le les et des une est dans que qui pour pas sur avec vous ce il elle",
    "German": "der die das und ist nicht ich mit den ein eine zu auf sich dem von auch",
    "Spanish": "el los las y una es con por para del se su como pero más",
    "Italian": "il gli e di che un per non una sono della con più anche nel",
    "Latin language": "et in est non ad cum ut sed quod qui si atque ex ab enim",
}
FUNCTION_WORDS: Mapping[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in _COMMON.items()}
"""Common short words; those that several languages share count for each, and the passage decides."""


def fold(text: str) -> str:
    """Return a token's word: without space around it and in one case; white space alone stays as it is."""
    return text.strip().casefold() or text


class Lexicon:
    """The tokens of a vocabulary by id; id -1 stands for no token and has no word and no class."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        size = max(texts, default=-1) + 1
        self.texts = [texts.get(number, f"#{number}") for number in range(size)]
        self._known = np.array([number in texts for number in range(size)], bool)
        self._forms = {text: number for number, text in reversed(list(enumerate(self.texts)))}
        folded = [fold(text) for text in self.texts]
        self._words: dict[str, int] = {}
        for word in folded:
            self._words.setdefault(word, len(self._words))
        self.word_texts = list(self._words)
        self.forms = np.array([*(self._forms[text] for text in self.texts), -1], np.int32)
        self.words = np.array([*(self._words[word] for word in folded), -1], np.int32)

    @classmethod
    def of_strings(cls, strings: Iterable[str]) -> "Lexicon":
        """Return the lexicon of tokens that are numbered as they come."""
        return cls(dict(enumerate(strings)))

    def form_numbers(self, texts: Iterable[str]) -> list[int]:
        """Return the numbers of exact token texts, those that no token has left out."""
        return [self._forms[text] for text in texts if text in self._forms]

    def word_numbers(self, words: Iterable[str]) -> list[int]:
        """Return the numbers of words, those that no token has left out."""
        return [self._words[word] for word in words if word in self._words]

    def words_that_begin(self, letters: str) -> list[int]:
        """Return the numbers of all words that begin with these letters."""
        first = bisect_left(self._sorted_words, letters)
        # Of words in their order, those with one beginning stand together.
        stop = bisect_left(self._sorted_words, letters + chr(sys.maxunicode), lo=first)
        return [self._words[word] for word in self._sorted_words[first:stop]]

    @cached_property
    def _sorted_words(self) -> list[str]:
        return sorted(self._words)

    @cached_property
    def classes(self) -> Bool[NDArray[Any], "tokens classes"]:
        """Return to which of `CLASSES` each token belongs."""
        rows = [_classes(text) if known else () for text, known in zip(self.texts, self._known, strict=True)]
        found = np.zeros((len(self.texts) + 1, len(CLASSES)), bool)
        for number, row in enumerate(rows):
            found[number, [CLASSES.index(name) for name in row]] = True
        return found

    @cached_property
    def counted(self) -> Int[NDArray[Any], "tokens counted"]:
        """Return how many characters of each of `COUNTED` a token has."""
        rows = [_counted(text) if known else _counted("") for text, known in zip(self.texts, self._known, strict=True)]
        return np.array([*rows, _counted("")], np.int64)

    @cached_property
    def function_words(self) -> Bool[NDArray[Any], "tokens languages"]:
        """Return for which of the languages of `FUNCTION_WORDS` a token is a common short word."""
        rows = [[fold(text) in words for words in FUNCTION_WORDS.values()] for text in self.texts]
        return np.array([*rows, [False] * len(FUNCTION_WORDS)], bool)


def _classes(text: str) -> tuple[str, ...]:
    """Return the classes of a token: of the script that all of its letters are of, and how it is written."""
    found, body = [], text.strip()
    if "\n" in text:
        found.append("line end")
    letters = [letter for letter in body if letter.isalpha()]
    for script in SCRIPTS:
        if letters and all(unicodedata.name(letter, "").startswith(script.upper()) for letter in letters):
            found.append(script)
    if body and all(letter.isdigit() for letter in body):
        found.append("digits")
    if body and all(unicodedata.category(letter)[0] in "PS" for letter in body):
        found.append("punctuation")
    if body[:1].isupper():
        found.append("capitals" if len(letters) > 1 and all(letter.isupper() for letter in letters) else "capital")
    return tuple(found)


def _counted(text: str) -> tuple[int, ...]:
    return (
        len(text),
        sum(map(str.isalpha, text)),
        sum(map(str.isupper, text)),
        sum(map(str.isdigit, text)),
        text.count("\n"),
        sum(letter in QUOTES for letter in text),
        sum(letter in CODE_SIGNS for letter in text),
    )
