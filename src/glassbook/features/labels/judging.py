"""Judges: whoever is given a label and passages, and says which of them the label fits.

Detection and fuzzing are those of Paulo, Mallen, Juang and Belrose (2024), "Automatically Interpreting Millions of Features in
Large Language Models". In detection the judge says of each passage whether the feature is active in it; in fuzzing some
tokens are marked, and the judge says whether these are the ones at which it is.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from glassbook.features.labels.passages import Passages
from glassbook.features.labels.rules import Rule

Marks = Bool[NDArray[Any], "n length"]


@dataclass(frozen=True)
class Asked:
    """One label and the passages it is held against; `marks` where the question is whether the marked tokens are right."""

    rule: Rule
    passages: Passages
    marks: Marks | None = None


@runtime_checkable
class Judge(Protocol):
    """Whoever answers; `name` says who it is."""

    @property
    def name(self) -> str:
        """Return what the judge is called."""
        ...

    def learn(self, asked: Asked, truth: Bool[NDArray[Any], " n"]) -> None:
        """Take questions with their answers into account, where the judge can."""
        ...

    def answers(self, asked: Asked) -> Bool[NDArray[Any], " n"]:
        """Return a yes or no for each passage."""
        ...


class RuleJudge:
    """Runs the rule: yes where it holds at some token, or at half of the marked ones at least."""

    name = "the rule itself"

    def learn(self, asked: Asked, truth: Bool[NDArray[Any], " n"]) -> None:
        """Learn nothing: a rule is what it is."""

    def answers(self, asked: Asked) -> Bool[NDArray[Any], " n"]:
        """Return a yes or no for each passage."""
        holds = asked.rule.holds(asked.passages)
        if asked.marks is None:
            return np.asarray(holds.any(1))
        marked = asked.marks.sum(1)
        right: Bool[NDArray[Any], " n"] = (marked > 0) & (2 * (holds & asked.marks).sum(1) >= marked)
        return right
