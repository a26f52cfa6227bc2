"""Which rule to propose for a feature: candidates are read off one half of its examples and the best of them is taken."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from glassbook.features.labels.lexicon import CLASSES, FUNCTION_WORDS
from glassbook.features.labels.passages import Passages
from glassbook.features.labels.rules import (
    KINDS,
    MANNERS,
    After,
    Begins,
    Document,
    Language,
    Manner,
    Positions,
    Rule,
    Token,
    Words,
    Written,
)

MOST_WORDS = 8
MARKED = 0.3
"""The share of an example's largest activation from which on a token counts as one of those the feature is active at."""

_LEAST_TWICE = 2
_LEAST_LETTERS = 4
_PER_KIND, _PER_WORD = 0.01, 0.005
"""What a rule must be better by to be taken before a simpler one."""


@dataclass(frozen=True)
class Seen:
    """What candidates are read off and judged by: active passages, silent ones, and silent ones that look like active ones."""

    active: Passages
    peaks: Int[NDArray[Any], " n"]
    silent: Passages
    alike: Passages


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule, and how well it did on what it was chosen by."""

    rule: Rule
    chosen_at: float


def propose(seen: Seen) -> Proposal | None:
    """Return the best candidate by the mean of two balanced accuracies; None where there is nothing to go by.

    One is that of telling active from silent passages, half of these silent ones that hold the words at the feature's peaks, so
    that a word is told from the same word in a certain place. The other is that of telling the peaks from tokens without any
    activation. A simpler kind and fewer words are worth a hundredth each and half of one.
    """
    if not len(seen.active) or not len(seen.silent):
        return None
    best: Proposal | None = None
    for rule in dict.fromkeys(_candidates(seen)):
        value = _worth(rule, seen) - _PER_KIND * KINDS.index(rule.kind) - _PER_WORD * _size(rule)
        if best is None or value > best.chosen_at:
            best = Proposal(rule, value)
    return best


def right_marks(passages: Passages) -> Bool[NDArray[Any], "n length"]:
    """Return the tokens at which the feature is active at a good part of its largest activation in the passage."""
    largest = passages.activations.max(1, keepdims=True, initial=0)
    return (passages.activations > 0) & (passages.activations >= MARKED * largest)


def _worth(rule: Rule, seen: Seen) -> float:
    active = rule.holds(seen.active)
    found = float(active.any(1).mean())
    wrong = float(rule.holds(seen.silent).any(1).mean())
    if len(seen.alike):
        wrong = (wrong + float(rule.holds(seen.alike).any(1).mean())) / 2
    at_peaks = float(active[np.arange(len(active)), seen.peaks].mean())
    off = seen.active.there & (seen.active.activations == 0)
    elsewhere = float(active[off].mean()) if off.any() else wrong
    return (found + 1 - wrong + at_peaks + 1 - elsewhere) / 4


def _size(rule: Rule) -> int:
    if isinstance(rule, Words):
        return len(rule.words) - 1
    if isinstance(rule, After):
        return sum(max(0, len(words) - 1) for words in rule.places)
    return len(rule.numbers) - 1 if isinstance(rule, Document) else 0


def _candidates(seen: Seen) -> Iterator[Rule]:
    yield from _of_words(seen)
    yield from _of_runs(seen)
    yield from _of_positions(seen)
    yield from _of_writing(seen)
    yield from _of_documents(seen)


def _of_words(seen: Seen) -> Iterator[Rule]:
    """Yield the most common token at the peaks, and the most common words, more and more of them."""
    rows, lexicon = np.arange(len(seen.active)), seen.active.lexicon
    forms = Counter(seen.active.forms[rows, seen.peaks].tolist())
    yield from (Token(lexicon.texts[form]) for form, _ in forms.most_common(1) if form >= 0)
    for words in _more_and_more(seen.active.words[rows, seen.peaks].tolist()):
        yield Words(tuple(lexicon.word_texts[word] for word in words))
    yield from _of_beginnings(
        [lexicon.word_texts[word] for word in seen.active.words[rows, seen.peaks].tolist() if word >= 0]
    )


def _of_beginnings(words: Sequence[str]) -> Iterator[Rule]:
    """Yield the letters that the forms of one word share: those of the most common beginning, and all they have in common."""
    begun = Counter(word[:_LEAST_LETTERS] for word in words if len(word) >= _LEAST_LETTERS and word.isalpha())
    for letters, count in begun.most_common(1):
        alike = [word for word in words if word.startswith(letters)]
        if count >= _LEAST_TWICE and len(set(alike)) > 1:
            yield from map(Begins, dict.fromkeys((letters, os.path.commonprefix(alike))))  # noqa: RUF071 - letters are meant


def _of_runs(seen: Seen) -> Iterator[Rule]:
    """Yield what stands before the peaks, with the words at them and without."""
    words, texts = seen.active.words, seen.active.lexicon.word_texts
    padded = np.pad(words, ((0, 0), (2, 0)), constant_values=-1)
    runs = [tuple(padded[row, peak : peak + 3].tolist()) for row, peak in enumerate(seen.peaks.tolist()) if peak]
    lasts = [run[-1] for run in runs]
    for befores in _more_and_more([run[-2] for run in runs], most=4):
        before = tuple(texts[word] for word in befores)
        yield After((before, ()))
        inside = [last for run, last in zip(runs, lasts, strict=True) if run[-2] in befores]
        for last in _more_and_more(inside, most=4):
            yield After((before, tuple(texts[word] for word in last)))
    yield from _of_threes(runs, texts)


def _of_threes(runs: Sequence[tuple[int, ...]], texts: Sequence[str]) -> Iterator[Rule]:
    for run, count in Counter(run for run in runs if run[0] >= 0).most_common(1):
        if count >= _LEAST_TWICE:
            yield After(tuple((texts[word],) for word in run))
    for run, count in Counter(run[:2] for run in runs if run[0] >= 0).most_common(1):
        if count >= _LEAST_TWICE:
            yield After(((texts[run[0]],), (texts[run[1]],), ()))


def _of_positions(seen: Seen) -> Iterator[Rule]:
    at = np.sort(seen.active.starts + seen.peaks)
    for share in (0.0, 0.1, 0.2):
        cut = int(share * len(at))
        yield Positions(int(at[cut]), int(at[len(at) - 1 - cut]))
        yield Positions(int(at[0]), int(at[len(at) - 1 - cut]))


def _of_writing(seen: Seen) -> Iterator[Rule]:
    """Yield every class that most peaks are of, and every language that most passages are in."""
    peaks = seen.active.tokens[np.arange(len(seen.active)), seen.peaks]
    shares = seen.active.lexicon.classes[peaks].mean(0)
    yield from (Written(name) for name, share in zip(CLASSES, shares, strict=True) if share >= 0.5)
    yield from _usual([Language(name) for name in FUNCTION_WORDS], seen)


def _of_documents(seen: Seen) -> Iterator[Rule]:
    for numbers in _more_and_more(seen.active.documents.tolist(), most=3):
        yield Document(tuple(sorted(numbers)))
    yield from _usual([Manner(name) for name in MANNERS], seen)


def _usual(rules: Iterable[Rule], seen: Seen) -> Iterator[Rule]:
    return (rule for rule in rules if rule.holds(seen.active).any(1).mean() >= 0.5)


def _more_and_more(numbers: Sequence[int], most: int = MOST_WORDS) -> Iterator[tuple[int, ...]]:
    """Yield the most common number, then it and the next, and so on while they occur more than once."""
    common = [(number, count) for number, count in Counter(numbers).most_common(most) if number >= 0]
    for n in range(1, len(common) + 1):
        if n > 1 and common[n - 1][1] < _LEAST_TWICE:
            return
        yield tuple(number for number, _ in common[:n])
