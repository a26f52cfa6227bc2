"""What a model asks of its network: logits under taps, memory of the tokens so far, and the Sites it has."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.core.taps import IDLE, Taps
from glassbook.models.config import Config


@runtime_checkable
class Memory(Protocol):
    """The tokens that a network has read, so that generation need not read them again."""

    filled: int

    def hide(self, lengths: list[int]) -> None:
        """Mark what lies at and beyond each row's length as padding."""
        ...

    def repeated(self, n: int) -> Any:
        """Return a copy with every row `n` times."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows."""
        ...


class Network(nn.Module, ABC):
    """A causal language model whose values have addresses.

    `resumable` says whether a pass can begin at any layer; of a network that is not, whole passes are made.
    """

    resumable: ClassVar[bool] = False
    config: Config

    @abstractmethod
    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        taps: Taps = IDLE,
        cache: Any = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        read_at: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return logits at every position, or only at the one that `read_at` gives for each row."""

    @abstractmethod
    def new_cache(self, batch: int, columns: int) -> Memory | None:
        """Return empty memory for `columns` tokens in each of `batch` rows; None where there is none to be had."""

    @property
    @abstractmethod
    def site_names(self) -> list[str]:
        """Return the names of the Sites that this network has, in the order of the forward pass."""

    @property
    def limits(self) -> str:
        """Return in a sentence what this network cannot show; empty where it has every Site of its architecture."""
        return ""

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self._first_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Return the precision of the weights."""
        return self._first_weight.dtype

    @property
    def _first_weight(self) -> Tensor:
        return next(weight for weight in self.parameters() if weight.is_floating_point())
