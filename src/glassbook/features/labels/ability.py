"""Whether a judge is able at all: planted features that are active at one word, with labels that are true by making.

A score of a judge that cannot tell even these says nothing of a label, and is not shown.
"""

import msgspec
import numpy as np

from glassbook.core.errors import InputError
from glassbook.features.labels.judging import Asked, Judge
from glassbook.features.labels.passages import Passages
from glassbook.features.labels.rules import Words
from glassbook.features.labels.scoring import Held, Told, detection, fuzzing

BAR = 0.8
"""The balanced accuracy on planted features that an able judge reaches."""
_WORDS, _EACH = 8, 6
_LEAST_LETTERS = 3


class Ability(msgspec.Struct, frozen=True):
    """What a judge got right of planted features, by detection and by fuzzing, on questions that it did not learn from."""

    detection: Told
    fuzzing: Told

    @property
    def detects(self) -> bool:
        """Return whether its figures of detection may be shown."""
        return self.detection.accuracy.estimate >= BAR

    @property
    def fuzzes(self) -> bool:
        """Return whether its figures of fuzzing may be shown."""
        return self.fuzzing.accuracy.estimate >= BAR


def ability_of(judge: Judge, passages: Passages, seed: int) -> Ability:
    """Return what a judge can do: it learns from half of the planted features and answers on the others.

    Raises InputError for text in which no word is in some passages and missing in others.
    """
    draw = np.random.default_rng([seed, 3])
    planted = [_planted(passages, word, draw) for word in _words(passages, draw)]
    for rule, questions in planted[::2]:
        for held in questions:
            judge.learn(Asked(rule, held.passages, held.marks), held.truth)
    detects, fuzzes = zip(
        *([held.told(judge, rule) for held in questions] for rule, questions in planted[1::2]), strict=True
    )
    return Ability(sum(detects[1:], detects[0]), sum(fuzzes[1:], fuzzes[0]))


def _words(passages: Passages, draw: np.random.Generator) -> list[int]:
    """Return words that are in enough passages, and in fewer than half."""
    lexicon, there = passages.lexicon, passages.there
    pairs = np.unique(np.stack([np.nonzero(there)[0], passages.words[there]], 1), axis=0)
    counts = np.bincount(pairs[:, 1], minlength=len(lexicon.word_texts))
    usable = np.nonzero((counts >= _EACH) & (2 * counts < len(passages)))[0].tolist()
    # Models that read characters have no words; their rarer characters do.
    words = [word for word in usable if _is_word(lexicon.word_texts[word])]
    usable = words if len(words) >= _WORDS else usable
    if len(usable) < 2:
        raise InputError("a judge is tested on words of ordinary text, and too few were read; read more of it")
    return [int(word) for word in draw.permutation(usable)[: 2 * _WORDS]]


def _is_word(text: str) -> bool:
    return text.isalpha() and len(text) >= _LEAST_LETTERS


def _planted(passages: Passages, word: int, draw: np.random.Generator) -> tuple[Words, tuple[Held, Held]]:
    """Return a feature that is active at one word: its label, and the questions of detection and fuzzing."""
    where = passages.words == word
    inside = draw.permutation(np.nonzero(where.any(1))[0])[:_EACH]
    outside = draw.permutation(np.nonzero(~where.any(1))[0])[:_EACH]
    active = passages.rows(inside).with_activations(where[inside].astype(np.float32))
    silent = passages.rows(outside)
    marked = fuzzing(active, silent, draw)
    assert marked is not None
    return Words((passages.lexicon.word_texts[word],)), (detection(active, silent), marked)
