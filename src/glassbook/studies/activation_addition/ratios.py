"""The perplexity ratio of ActAdd's authors, sentence by sentence."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import InputError
from glassbook.models.model import Model
from glassbook.steering.passages import Passage, Passages
from glassbook.steering.vector_set import Vectors

Ids = Sequence[int]
Logs = Mapping[str, NDArray[np.float64]]
"""Text -> one logarithm of a perplexity ratio a sentence."""


class SentenceGauge:
    """Sentences of several texts, each behind the document start and single spaces that a front vector may touch.

    Turner et al. 2023 (2308.10248), the authors' comparison with prompting: spaces are put before each sentence, one for every
    row of the vector beyond the document start; predictions made at these tokens are left out, so the first token of a sentence
    is not scored. `log_ratios` weighs a sentence by its tokens: the mean over sentences is the logarithm of the ratio of
    the whole text. `n_read` counts tokens.
    """

    def __init__(self, model: Model, texts: Mapping[str, Sequence[Ids]], front: int) -> None:
        self.model, self.texts, self.front = model, texts, front
        self.n_read = 0
        rows = [ids for sentences in texts.values() for ids in sentences]
        if min(map(len, rows)) < 2:
            raise InputError("a sentence of one token leaves nothing to score; give longer sentences")
        self._plain: NDArray[np.float64] | None = None
        self._behind_spaces = self._laid_out(self._spaces())

    def log_ratios(self, steers: Sequence[Vectors]) -> list[Logs]:
        """Return the logarithm of steered over unsteered perplexity, token-weighted, of every sentence under each steering."""
        scores = self._scores(self._behind_spaces, steers)
        return [self._logs(row - self._unsteered()) for row in scores]

    def log_ratios_behind(self, prompt: str) -> Logs:
        """Return the same for a prompt in place of steering: it stands where the spaces stood."""
        told = self._start() + self.model.read(prompt, prepend_bos=False).row(0)
        return self._logs(self._scores(self._laid_out(told), [None])[0] - self._unsteered())

    def _logs(self, gained: NDArray[np.float64]) -> Logs:
        found, first = {}, 0
        for name, sentences in self.texts.items():
            counts = np.array([len(ids) - 1 for ids in sentences], dtype=np.float64)
            found[name] = -gained[first : first + len(sentences)] / counts.mean()
            first += len(sentences)
        return found

    def _unsteered(self) -> NDArray[np.float64]:
        if self._plain is None:
            # On passages of their own: to read the plain ones anew would make the steered ones climb again.
            self._plain = self._scores(self._laid_out(self._spaces()), [None])[0]
        return self._plain

    def _scores(self, passages: Passages, steers: Sequence[Vectors | None]) -> NDArray[np.float64]:
        head = self.front
        self.n_read += len(steers) * sum(head + len(ids) for rows in self.texts.values() for ids in rows)
        return np.asarray(passages.scores(steers).numpy(), dtype=np.float64)

    def _laid_out(self, head: Ids) -> Passages:
        rows = [ids for sentences in self.texts.values() for ids in sentences]
        passages = [_passage(number, head, ids) for number, ids in enumerate(rows)]
        return Passages(self.model, passages, len(rows))

    def _start(self) -> list[int]:
        start = self.model.tokenizer.document_start_id if self.model.tokenizer else None
        if start is None:
            raise InputError("activation addition needs a tokenizer with a document-start token; choose another model")
        return [start]

    def _spaces(self) -> list[int]:
        return self._start() + [self.model.to_single_token(" ")] * (self.front - 1)


def pooled(logs: Logs) -> dict[str, float]:
    """Return the logarithm of the perplexity ratio of each whole text."""
    return {name: float(values.mean()) for name, values in logs.items()}


def _passage(number: int, head: Ids, ids: Ids) -> Passage:
    row = [*head, *ids]
    scored = [(len(head) + i - 1, ids[i], 1.0) for i in range(1, len(ids))]
    return Passage(item=number, ids=row, prompt_length=len(row), scored=scored)
