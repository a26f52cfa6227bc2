"""What a model says next after each prompt, under many steerings: probabilities of words, and ranks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.steering.vector_set import Vectors

_ROWS_AT_ONCE = 32


@dataclass
class NextTokens:
    """Prompts behind the document start, and how many tokens of them have been read."""

    model: Model
    prompts: Sequence[str]
    n_read: int = field(default=0)

    def log_probs(self, steers: Sequence[Vectors | None]) -> Float[Tensor, "steers prompts d_vocab"]:
        """Return the log-probability of every next token after each prompt, in nats; one layer's blocks below are shared."""
        rows = [self.model.read(prompt, prepend_bos=True).row(0) for prompt in self.prompts]
        edits = [self.model.edits_of(steer) for steer in steers]
        parts = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            batch = self.model.read(Prompts.of(rows[first : first + _ROWS_AT_ONCE]))
            last = [length - 1 for length in batch.lengths]
            prefix = Prefix.below(self.model, batch, edits)
            told = [prefix.logits(edit, read_at=last)[:, 0].float().log_softmax(-1).cpu() for edit in edits]
            parts.append(torch.stack(told))
        self.n_read += len(steers) * sum(map(len, rows))
        return torch.cat(parts, dim=1)


def first_tokens(model: Model, words: Sequence[str]) -> Int[Tensor, " words"]:
    """Return the first token of each word behind a space."""
    return torch.tensor([model.read(word, prepend_bos=False).row(0)[0] for word in words])


def single_tokens(model: Model, words: Sequence[str]) -> Int[Tensor, " kept"]:
    """Return the tokens of the words that are one token behind a space, the others left out."""
    rows = [model.read(f" {word}", prepend_bos=False).row(0) for word in words]
    return torch.tensor([row[0] for row in rows if len(row) == 1])


def ranks(log_probs: Float[Tensor, "prompts d_vocab"], tokens: Int[Tensor, " prompts"]) -> Int[Tensor, " prompts"]:
    """Return how many tokens are more probable than the one asked for, after each prompt."""
    wanted = log_probs.gather(-1, tokens[:, None])
    return (log_probs > wanted).sum(-1)
