"""The three effects that a sweep can measure: log-odds of choices, perplexity of a topic, a function of the text."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from glassbook.core.errors import InputError
from glassbook.core.registry import Registry
from glassbook.models.model import Model
from glassbook.steering.passages import Passage, Passages
from glassbook.steering.sweeps.settings import Judge
from glassbook.steering.vector_set import PerRow, Vectors, each_vector
from glassbook.tasks.contrast import ChoiceItem

_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Scores:
    """One number an item, greater where there is more of the behavior; or the sentence that says why there is none."""

    values: tuple[float, ...]
    failure: str = ""

    @classmethod
    def of(cls, values: Sequence[float], what: str) -> "Scores":
        """Return the scores, or a failure where one of them is not a finite number."""
        wrong = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
        if wrong is None:
            return cls(tuple(values))
        return cls((), f"{what} of item {wrong} is {values[wrong]}, which is not a finite number")


@dataclass(frozen=True, slots=True)
class Frame:
    """How texts are laid out for a set of vectors, alike for all of them and for the unsteered model.

    `bos` puts the document-start token in front. Predictions at the first `front` tokens, which a front vector touches, are
    left out. With `generates` a given text counts as being written from its first token on.
    """

    bos: bool | None = None
    front: int = 0
    generates: bool = False

    @classmethod
    def around(cls, steers: Sequence[Vectors]) -> "Frame":
        """Return the frame in which all of these vectors can be compared."""
        vectors = [vector for steer in steers for vector in each_vector(steer)]
        bos = True if any(vector.needs_bos for vector in vectors) else None
        front = max((len(vector.table) for vector in vectors if vector.positions == "front"), default=0)
        return cls(bos, front, any(vector.positions == "generated" for vector in vectors))


class Measure(ABC):
    """An effect on some items: `scores` under each of several steerings. What an instruction does is another measure."""

    unit: ClassVar[str]

    @abstractmethod
    def __init__(self, model: Model, items: Sequence[Any], frame: Frame, instruction: str = "", **options: Any) -> None:
        """Take some items in their frame, each behind an instruction if there is one, and options of the effect's own."""

    @abstractmethod
    def scores(self, steers: Sequence[Vectors | None]) -> list[Scores]:
        """Return what each steering makes of the items."""


EFFECTS: Registry[type[Measure]] = Registry("effect")


@EFFECTS.add("choice-log-odds")
class ChoiceLogOdds(Measure):
    """Log p(positive option) - log p(negative option) after each item's prompt, as `choice_log_odds` has it."""

    unit: ClassVar[str] = "nats"

    def __init__(
        self, model: Model, items: Sequence[ChoiceItem], frame: Frame, instruction: str = "", reuse: bool = True
    ) -> None:
        rows: list[Passage] = []
        for number, item in enumerate(items):
            prompt = model.read(instruction + item.prompt, frame.bos).row(0)
            rows += _choice_rows(model, number, prompt, item)
        if frame.generates and all(len(row.ids) <= row.prompt_length for row in rows):
            raise InputError(
                "the vector acts on generated tokens only, and a choice between single tokens is made before anything is "
                "generated; give options of several tokens, or let it act on the prompt"
            )
        self.passages = Passages(model, rows, len(items), reuse)

    def scores(self, steers: Sequence[Vectors | None]) -> list[Scores]:
        """Return the log-odds of every item under each steering, in nats."""
        return [Scores.of(row, "the log-odds") for row in self.passages.scores(steers).tolist()]


@EFFECTS.add("perplexity-ratio")
class PerplexityRatio(Measure):
    """The log-probability of a topic's passages per token: steered minus unsteered, it is -log of the perplexity ratio.

    The protocol of ActAdd (2308.10248): passages about the topic are read by teacher forcing, and predictions at the tokens
    that a front vector touches are left out on both sides. Items are windows of ids.
    """

    unit: ClassVar[str] = "nats per token"

    def __init__(
        self, model: Model, items: Sequence[Sequence[int]], frame: Frame, instruction: str = "", reuse: bool = True
    ) -> None:
        told = model.read(instruction, prepend_bos=False).row(0) if instruction else []
        start = model.tokenizer.document_start_id if model.tokenizer and frame.bos else None
        head = told if start is None else [start, *told]
        # The same predictions count with an instruction in front and without; the first token has none of its own.
        first = frame.front + (1 if start is None else 0)
        rows = [_window(number, head, list(ids), first, frame.generates) for number, ids in enumerate(items)]
        self.passages = Passages(model, rows, len(items), reuse)

    def scores(self, steers: Sequence[Vectors | None]) -> list[Scores]:
        """Return the mean log-probability of a token in every window under each steering, in nats."""
        return [Scores.of(row, "the log-probability") for row in self.passages.scores(steers).tolist()]


class Judged(Measure):
    """What a function says of greedy completions of each prompt; where it raises, the steering has failed and says why."""

    unit: ClassVar[str] = ""

    def __init__(
        self, model: Model, items: Sequence[str | ChoiceItem], frame: Frame, instruction: str = "", **options: Any
    ) -> None:
        self.model, self.frame = model, frame
        self.judge: Judge = options["judge"]
        self.n_tokens: int = options["n_tokens"]
        self.name = getattr(self.judge, "__name__", type(self.judge).__name__)
        self.prompts = [instruction + (item if isinstance(item, str) else item.prompt) for item in items]

    def scores(self, steers: Sequence[Vectors | None]) -> list[Scores]:
        """Return what the function says of every completion under each steering."""
        rows = [(steer, prompt) for steer in steers for prompt in self.prompts]
        texts: list[str] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            texts += self._completed(rows[first : first + _ROWS_AT_ONCE])
        n = len(self.prompts)
        return [self._judged(texts[i * n : (i + 1) * n]) for i in range(len(steers))]

    def _completed(self, rows: Sequence[tuple[Vectors | None, str]]) -> list[str]:
        written = self.model.complete(
            [prompt for _, prompt in rows],
            steer=PerRow([steer for steer, _ in rows]),
            prepend_bos=self.frame.bos,
            max_new_tokens=self.n_tokens,
            temperature=0.0,
        )
        return [one.text for one in written]

    def _judged(self, texts: Sequence[str]) -> Scores:
        values = []
        for number, text in enumerate(texts):
            try:
                values.append(float(self.judge(text)))
            except Exception as fault:
                said = f"{type(fault).__name__}: {fault}".splitlines()[0]
                return Scores((), f"the function '{self.name}' raised {said} on the completion of item {number}")
        return Scores.of(values, f"what the function '{self.name}' returned")


def _choice_rows(model: Model, number: int, prompt: list[int], item: ChoiceItem) -> list[Passage]:
    """Return the passages of a choice; contexts that both options share, as all one-token options do, are read once."""
    contexts: dict[tuple[int, ...], list[tuple[int, int, float]]] = {}
    for option, sign in ((item.positive, 1.0), (item.negative, -1.0)):
        tokens = model.read(option, prepend_bos=False).row(0)
        scored = contexts.setdefault(tuple(prompt + tokens[:-1]), [])
        scored += [(len(prompt) - 1 + i, token, sign) for i, token in enumerate(tokens)]
    return [Passage(item=number, ids=ids, prompt_length=len(prompt), scored=scored) for ids, scored in contexts.items()]


def _window(number: int, head: list[int], ids: list[int], first: int, generates: bool) -> Passage:
    """Return the passage whose tokens are scored from `first` on, behind a head that is not."""
    count = len(ids) - first
    if count < 1:
        raise InputError(f"a window of {len(ids)} tokens leaves nothing to score after {first}; use longer windows")
    scored = [(len(head) + i - 1, ids[i], 1.0 / count) for i in range(first, len(ids))]
    row = [*head, *ids]
    return Passage(item=number, ids=row, prompt_length=1 if generates else len(row), scored=scored)
