"""Batches of tokens: random windows of one long text, examples in shuffled epochs, and all of a text for evaluation."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator

Batch = tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"] | None]
"""Tokens, and which of them count as what is to be predicted; None where all do. The first of a row is never predicted."""

Example = tuple[Sequence[int], Sequence[bool]]
"""The tokens of one text and whether each counts, such as those of the response alone."""


class TokenWindows:
    """A Stream of windows of `context` tokens and the one that follows, drawn from anywhere in a text, with replacement."""

    def __init__(self, ids: Int[Tensor, " n"], batch: int, context: int, seed: int) -> None:
        if batch < 1 or context < 1:
            raise InputError(f"{batch} windows of {context} tokens make no batch; ask for at least 1 of each")
        if len(ids) <= context:
            raise InputError(
                f"a text of {len(ids)} tokens has no window of {context} and one more; choose a shorter one"
            )
        self.ids, self.batch, self.context, self.seed = ids, batch, context, seed
        self.drawn = 0

    def next(self) -> Batch:
        """Return `batch` windows, each of `context` + 1 tokens, so that every input has its target."""
        chance = generator(self.seed, "windows", self.drawn)
        starts = torch.randint(len(self.ids) - self.context, (self.batch, 1), generator=chance)
        self.drawn += 1
        return self.ids[starts + torch.arange(self.context + 1)].long(), None

    def state(self) -> dict[str, Tensor]:
        """Return how many batches were drawn, which is all that the next one depends on."""
        return {"drawn": torch.tensor(self.drawn)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.drawn = int(state["drawn"])


class Examples:
    """A Stream of padded examples: each once an epoch, every epoch in an order of its own, a rest too small left out."""

    def __init__(self, examples: Sequence[Example], batch: int, seed: int) -> None:
        if not 0 < batch <= len(examples):
            raise InputError(f"{len(examples)} examples make no batch of {batch}; ask for 1 to {len(examples)}")
        self.examples, self.batch, self.seed = examples, batch, seed
        self.drawn = 0

    @property
    def per_epoch(self) -> int:
        """Return how many batches an epoch has."""
        return len(self.examples) // self.batch

    def next(self) -> Batch:
        """Return the next batch."""
        epoch, place = divmod(self.drawn, self.per_epoch)
        order = torch.randperm(len(self.examples), generator=generator(self.seed, "examples", epoch))
        chosen = order[place * self.batch : (place + 1) * self.batch].tolist()
        self.drawn += 1
        return pad_examples([self.examples[row] for row in chosen])

    def state(self) -> dict[str, Tensor]:
        """Return how many batches were drawn, which is all that the next one depends on."""
        return {"drawn": torch.tensor(self.drawn)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.drawn = int(state["drawn"])


def pad_examples(examples: Sequence[Example]) -> Batch:
    """Return examples as one batch, padded on the right with tokens that never count; raise InputError for uneven ones."""
    width = max(len(ids) for ids, _ in examples)
    tokens = torch.zeros(len(examples), width, dtype=torch.int64)
    counts = torch.zeros(len(examples), width, dtype=torch.bool)
    for row, (ids, counted) in enumerate(examples):
        if len(ids) != len(counted):
            raise InputError(f"an example has {len(ids)} tokens and says of {len(counted)} whether they count; mend it")
        tokens[row, : len(ids)] = torch.as_tensor(ids)
        counts[row, : len(ids)] = torch.as_tensor(counted)
    return tokens, counts


def all_windows(ids: Int[Tensor, " n"], batch: int, context: int) -> Iterator[Batch]:
    """Yield windows side by side, in which every token but the first is predicted exactly once."""
    if len(ids) < 2:
        raise InputError(f"a text of {len(ids)} tokens has nothing to predict; choose a longer one")
    n_windows = (len(ids) - 1) // context
    starts = torch.arange(n_windows)[:, None] * context
    for first in range(0, n_windows, batch):
        yield ids[starts[first : first + batch] + torch.arange(context + 1)].long(), None
    if len(ids) - 1 > n_windows * context:
        yield ids[n_windows * context :].long()[None], None
