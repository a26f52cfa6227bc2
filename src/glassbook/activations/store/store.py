"""The read side of a harvest: rows by Site, what token each belongs to, and shuffled batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.store.order import ShuffledRows
from glassbook.core.sites import Site
from glassbook.models.model import Model


@dataclass(frozen=True, slots=True)
class Context:
    """One context as the model read it: its tokens, and the document that each of them is from."""

    tokens: Int[Tensor, " pos"]
    documents: Int[Tensor, " pos"]


class ActivationStore:
    """What a harvest left in a folder, read-only; row i of every Site belongs to one and the same token."""

    folder: str
    sites: tuple[Site, ...]
    dtype: torch.dtype
    n_tokens: int
    """How many rows there are: the tokens that were kept."""
    n_contexts: int
    facts: dict[str, Any]
    """Weights, corpus with checksum of the rows read, context, policy, medians, counts of what was left out, versions."""

    def width(self, site: str | Site) -> int:
        """Return how long a row of a Site is."""
        raise NotImplementedError

    @property
    def d_model(self) -> int:
        """Return the width that all Sites share; raise SiteError where they differ."""
        raise NotImplementedError

    def batches(
        self,
        site: str | Site | Sequence[str | Site],
        batch_size: int,
        *,
        seed: int,
        epochs: int | None = 1,
        dtype: str | torch.dtype = "float32",
        rows: tuple[int, int] | None = None,
    ) -> ShuffledRows:
        """Return a Stream of shuffled batches; `rows` keeps to a part of the store, so that another can be held out."""
        raise NotImplementedError

    def rows(self, site: str | Site, start: int = 0, stop: int | None = None) -> Float[Tensor, "n width"]:
        """Return rows in the order of the harvest and the stored precision."""
        raise NotImplementedError

    def tokens(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the token of each row."""
        raise NotImplementedError

    def positions(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return each row's position in its context."""
        raise NotImplementedError

    def documents(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the number of each row's document in the corpus."""
        raise NotImplementedError

    def contexts(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the number of each row's context, for `context`."""
        raise NotImplementedError

    def context(self, number: int) -> Context:
        """Return one context as the model read it, positions that were left out included."""
        raise NotImplementedError

    def check_model(self, model: Model) -> None:
        """Raise ModelError where a model is not the one harvested from; warn where it is another precision of it."""
        raise NotImplementedError

    def faults(self) -> list[str]:
        """Return one sentence for each shard that is not as it was written."""
        raise NotImplementedError


def open_store(folder: str | Path) -> ActivationStore:
    """Return the store in a folder or at an fsspec URL; raise FileFormatError where there is none or it is damaged."""
    raise NotImplementedError
