"""Stretches of text side by side, which rules are run on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from glassbook.features.cards import Example
from glassbook.features.labels.lexicon import Lexicon

NONE = -1
"""Stands where a passage has ended."""


@dataclass(frozen=True)
class Passages:
    """Tokens of passages, a row each, with one feature's activations; `starts` is the position of the first in its context."""

    lexicon: Lexicon
    tokens: Int[NDArray[Any], "n length"]
    activations: Float[NDArray[Any], "n length"]
    starts: Int[NDArray[Any], " n"]
    documents: Int[NDArray[Any], " n"]

    @classmethod
    def of_examples(cls, examples: Sequence[Example], lexicon: Lexicon) -> "Passages":
        """Return examples as rows."""
        length = max((len(example.tokens) for example in examples), default=0)
        tokens = np.full((len(examples), length), NONE, np.int64)
        activations = np.zeros((len(examples), length), np.float32)
        for row, example in enumerate(examples):
            tokens[row, : len(example.tokens)] = example.tokens
            activations[row, : len(example.tokens)] = example.activations
        starts = np.array([example.start for example in examples], np.int64)
        documents = np.array([example.document for example in examples], np.int64)
        return cls(lexicon, tokens, activations, starts, documents)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def there(self) -> Bool[NDArray[Any], "n length"]:
        """Return where there is a token."""
        return self.tokens != NONE

    @property
    def positions(self) -> Int[NDArray[Any], "n length"]:
        """Return the position of each token in its context."""
        return self.starts[:, None] + np.arange(self.tokens.shape[1])

    @cached_property
    def words(self) -> Int[NDArray[Any], "n length"]:
        """Return the number of each token's word; -1 where there is none."""
        return self.lexicon.words[self.tokens]

    @cached_property
    def forms(self) -> Int[NDArray[Any], "n length"]:
        """Return the number of each token's exact text; -1 where there is none."""
        return self.lexicon.forms[self.tokens]

    def rows(self, which: Int[NDArray[Any], " m"]) -> "Passages":
        """Return some of the passages."""
        parts = (self.tokens, self.activations, self.starts, self.documents)
        return Passages(self.lexicon, *(part[which] for part in parts))

    def with_activations(self, activations: Float[NDArray[Any], "n length"]) -> "Passages":
        """Return the same text with the activations of a feature."""
        return Passages(self.lexicon, self.tokens, activations, self.starts, self.documents)

    def joined(self, other: "Passages") -> "Passages":
        """Return these passages and then others."""
        length = max(self.tokens.shape[1], other.tokens.shape[1])
        tokens = np.concatenate([_widened(one.tokens, length, NONE) for one in (self, other)])
        activations = np.concatenate([_widened(one.activations, length, 0) for one in (self, other)])
        starts, documents = (
            np.concatenate(pair) for pair in ((self.starts, other.starts), (self.documents, other.documents))
        )
        return Passages(self.lexicon, tokens, activations, starts, documents)

    def shuffled(self, draw: np.random.Generator) -> "Passages":
        """Return passages of the same lengths whose tokens, and where they stand, were dealt anew among all of them."""
        tokens, there = self.tokens.copy(), self.there
        tokens[there] = draw.permutation(tokens[there])
        order = draw.permutation(len(self))
        return Passages(self.lexicon, tokens, self.activations, self.starts[order], self.documents[order])

    def strings(self, row: int) -> list[str]:
        """Return the text of each token of a passage."""
        return [self.lexicon.texts[token] for token in self.tokens[row].tolist() if token != NONE]


def _widened(part: NDArray[Any], length: int, filled: int) -> NDArray[Any]:
    return np.pad(part, ((0, 0), (0, length - part.shape[1])), constant_values=filled)
