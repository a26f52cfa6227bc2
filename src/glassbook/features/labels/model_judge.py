"""A language model as judge: it is asked in words and answers by which of yes and no it holds more likely.

Small models lean to one of the two answers whatever is asked. So the log-odds are held against a threshold that lies where
questions with known answers are parted best; whether they can be parted at all is what the control is for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.core.taps import Taps
from glassbook.features.labels.judging import Asked
from glassbook.features.labels.passages import NONE
from glassbook.models.model import Model

OPEN, CLOSE = "<<", ">>"
_YES, _NO = ("yes", " yes", "Yes", " Yes"), ("no", " no", "No", " No")
_BATCH = 8

_DETECTION = """A rule says which texts count.

Rule: {example}
Text: {with_it}
Does the text have it? yes

Rule: {example}
Text: {without}
Does the text have it? no

Rule: {rule}
Text: {text}
Does the text have it?"""
_FUZZING = """A rule says which tokens count. The marked ones are between << and >>.

Rule: {example}
Text: {with_it}
Are the right tokens marked? yes

Rule: {example}
Text: {without}
Are the right tokens marked? no

Rule: {rule}
Text: {text}
Are the right tokens marked?"""
_EXAMPLE = 'the word "river"'
_SHOWN = {
    False: (_DETECTION, " They crossed the river before dawn.", " She closed the door and sat down."),
    True: (_FUZZING, " They crossed the<< river>> before dawn.", " They<< crossed>> the river before dawn."),
}


class ModelJudge:
    """A model that was opened; `thresholds` are where its log-odds of yes begin to mean yes, for detection and for fuzzing."""

    def __init__(self, model: Model) -> None:
        if model.tokenizer is None:
            raise InputError(f"{model.identity.label} has no tokenizer and cannot be asked; choose another judge")
        self.model, self.thresholds = model, {False: 0.0, True: 0.0}
        self._yes, self._no = (_ids(model, answers) for answers in (_YES, _NO))
        self._learned: dict[bool, list[tuple[float, bool]]] = {False: [], True: []}

    @property
    def name(self) -> str:
        """Return what the judge is called."""
        return self.model.identity.label

    def learn(self, asked: Asked, truth: Bool[NDArray[Any], " n"]) -> None:
        """Move the threshold to where it parts all the answers that were learned so far best."""
        is_marked = asked.marks is not None
        self._learned[is_marked] += zip(self.log_odds(asked).tolist(), truth.tolist(), strict=True)
        self.thresholds[is_marked] = _parting(self._learned[is_marked])

    def answers(self, asked: Asked) -> Bool[NDArray[Any], " n"]:
        """Return a yes or no for each passage."""
        return self.log_odds(asked) > self.thresholds[asked.marks is not None]

    @torch.no_grad()
    def log_odds(self, asked: Asked) -> Float[NDArray[Any], " n"]:
        """Return the log-odds of yes against no after each question."""
        prompts = [self.prompt(asked, row) for row in range(len(asked.passages))]
        parts = [self._odds(prompts[first : first + _BATCH]) for first in range(0, len(prompts), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def prompt(self, asked: Asked, row: int) -> str:
        """Return the question about one passage."""
        shown, with_it, without = _SHOWN[asked.marks is not None]
        text = _marked(asked, row)
        return shown.format(example=_EXAMPLE, with_it=with_it, without=without, rule=asked.rule.text, text=text)

    def _odds(self, prompts: Sequence[str]) -> Float[NDArray[Any], " n"]:
        batch = self.model.read(list(prompts))
        logits = self.model.run(batch, Taps())
        last = logits[torch.arange(len(prompts)), torch.tensor(batch.lengths) - 1].double()
        return (last[:, self._yes].logsumexp(1) - last[:, self._no].logsumexp(1)).cpu().numpy()


def _marked(asked: Asked, row: int) -> str:
    """Return a passage in one line, with the marked tokens between marks."""
    found = []
    for place, text in enumerate(asked.passages.strings(row)):
        is_marked = asked.marks is not None and asked.passages.tokens[row, place] != NONE and asked.marks[row, place]
        found.append(f"{OPEN}{text}{CLOSE}" if is_marked else text)
    return "".join(found).replace(CLOSE + OPEN, "").replace("\n", " ")


def _ids(model: Model, answers: Sequence[str]) -> list[int]:
    """Return the tokens an answer may begin with: the spellings of it that are one token."""
    assert model.tokenizer is not None
    rows = [model.tokenizer.encode(answer) for answer in answers]
    return sorted({row[0] for row in rows if len(row) == 1} or {row[0] for row in rows})


def _parting(known: Sequence[tuple[float, bool]]) -> float:
    """Return the threshold at which the balanced accuracy of known answers is largest, between two of them."""
    values = np.array([value for value, _ in known])
    truth = np.array([one for _, one in known], bool)
    edges = np.unique(values)
    cuts = np.concatenate([edges[:1] - 1, (edges[1:] + edges[:-1]) / 2])
    worth = [(values[truth] > cut).mean() + (values[~truth] <= cut).mean() for cut in cuts.tolist()]
    return float(cuts[int(np.argmax(worth))])
