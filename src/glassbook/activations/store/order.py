"""The order in which rows leave a store: shuffled across documents, the same for the same seed, and seekable."""

from collections.abc import Mapping

from torch import Tensor


class ShuffledRows:
    """A Stream of batches of rows; after its epochs it raises InputError, and it can be iterated over."""

    n_batches: int
    """How many batches there are in all epochs; a rest too small for a batch is left out of each epoch."""

    def next(self) -> Tensor | tuple[Tensor, ...]:
        """Return the next batch, [batch d_model]; a tuple of batches of the same tokens where several Sites were asked for."""
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """Return where the stream stands."""
        raise NotImplementedError

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        raise NotImplementedError
