"""Activations straight through memory: the tokens and order of a harvest, a bounded pool to shuffle in, no disk."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from glassbook.activations.store.settings import Harvest
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.text.corpora import Corpus, Source


class StreamedRows:
    """A Stream of batches that are computed when they are asked for."""

    def next(self) -> Tensor | tuple[Tensor, ...]:
        """Return the next batch; raise InputError where the corpus has no more."""
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """Return where the stream stands: documents read, contexts and rows not yet handed out."""
        raise NotImplementedError

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        raise NotImplementedError


def stream(
    model: Model,
    corpus: Source | Corpus,
    sites: str | Site | Sequence[str | Site],
    settings: Harvest | None = None,
    *,
    batch_size: int,
    seed: int = 0,
    dtype: str = "float32",
    pool: int = 65536,
) -> StreamedRows:
    """Return a Stream over the activations of a corpus."""
    raise NotImplementedError
