"""What the loop asks of those who learn, and of those who hand out batches."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Learner(Protocol):
    """Whatever gets better by steps."""

    def step(self, batch: Any) -> Mapping[str, float]:
        """Learn from one batch and return metrics by name.

        `loss` must stay finite; `tokens` and `flop` of this batch, where given, the loop adds up and makes rates of.
        """
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Return all that the next step depends on: weights, the optimizer's averages, how many steps were made."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        ...


@runtime_checkable
class Stream(Protocol):
    """Batches without end, in an order that can be gone on with."""

    def next(self) -> Any:
        """Return the next batch."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Return where the stream stands."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        ...
