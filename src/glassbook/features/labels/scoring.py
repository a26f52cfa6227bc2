"""How well a label tells what its feature does, by detection and fuzzing, beside two controls that must come to chance."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from glassbook.features.labels.judging import Asked, Judge, Marks
from glassbook.features.labels.passages import Passages
from glassbook.features.labels.proposing import right_marks
from glassbook.features.labels.rules import Rule
from glassbook.stats.intervals import Interval
from glassbook.stats.proportions import balanced_accuracy


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What a judge got right: of `there` that is there it `found` so many, of `absent` that is not it `rejected` so many."""

    found: int
    there: int
    rejected: int
    absent: int

    def __post_init__(self) -> None:
        if not (0 <= self.found <= self.there and 0 <= self.rejected <= self.absent and self.there and self.absent):
            raise ValueError("more was got right than was asked, or nothing was asked")

    @property
    def accuracy(self) -> Interval:
        """Return the balanced accuracy with its interval; chance is 0.5."""
        return balanced_accuracy((self.found, self.there), (self.rejected, self.absent))

    def __add__(self, other: "Told") -> "Told":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Told(*(one + two for one, two in pairs))


class Scored(msgspec.Struct, frozen=True):
    """A score beside its controls: the same label on shuffled text, and another feature's label on this text."""

    told: Told
    shuffled: Told | None = None
    other: Told | None = None


@dataclass(frozen=True)
class Held:
    """What a label is scored on: passages, and which of them are right ones; with marks in fuzzing."""

    passages: Passages
    truth: Bool[NDArray[Any], " n"]
    marks: Marks | None = None

    def told(self, judge: Judge, rule: Rule, passages: Passages | None = None) -> Told:
        """Return what a judge gets right under a rule, on other passages in their place where some are given."""
        said = judge.answers(Asked(rule, passages or self.passages, self.marks))
        there = int(self.truth.sum())
        found, rejected = int((said & self.truth).sum()), int((~said & ~self.truth).sum())
        return Told(found, there, rejected, len(self.truth) - there)

    def scored(self, judge: Judge, rule: Rule, other: Rule | None, draw: np.random.Generator) -> Scored:
        """Return the score of a rule with its controls."""
        shuffled = self.told(judge, rule, self.passages.shuffled(draw))
        return Scored(self.told(judge, rule), shuffled, self.told(judge, other) if other is not None else None)


def detection(active: Passages, silent: Passages) -> Held:
    """Return the question which passages the feature is active in."""
    truth = np.arange(len(active) + len(silent)) < len(active)
    return Held(active.joined(silent), truth)


def fuzzing(active: Passages, silent: Passages, draw: np.random.Generator) -> Held | None:
    """Return the question in which passages the right tokens are marked; None where no wrong marks can be set.

    Each active passage comes once with the tokens at which the feature is active marked, and once with as many others, at which
    it is not; where it has too few of those, a silent passage takes its place.
    """
    right = right_marks(active)
    free, wanted = active.there & (active.activations == 0), right.sum(1)
    fits = free.sum(1) >= wanted
    stand_ins = draw.permutation(len(silent))[: int((~fits).sum())]
    wrongly = active.rows(np.nonzero(fits)[0]).joined(silent.rows(stand_ins))
    wanted = np.concatenate([wanted[fits], wanted[~fits][: len(stand_ins)]])
    if not len(wrongly):
        return None
    wrong = _drawn_marks(wrongly.there & (wrongly.activations == 0), wanted, draw)
    both = active.joined(wrongly)
    marks = np.zeros(both.tokens.shape, bool)
    marks[: len(active), : right.shape[1]], marks[len(active) :, : wrong.shape[1]] = right, wrong
    return Held(both, np.arange(len(both)) < len(active), marks)


def _drawn_marks(free: Marks, wanted: NDArray[Any], draw: np.random.Generator) -> Marks:
    """Return so many marks in each row at places of chance among those that are free."""
    keys = np.where(free, draw.random(free.shape), 2.0)
    ranks = keys.argsort(1).argsort(1)
    return free & (ranks < wanted[:, None])
