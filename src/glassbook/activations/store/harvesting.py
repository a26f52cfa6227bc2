"""One pass over a corpus, several Sites, shards on disk; killed at any moment it goes on to the same bytes."""

from collections.abc import Sequence
from pathlib import Path

from glassbook.activations.store.settings import Harvest
from glassbook.activations.store.store import ActivationStore
from glassbook.core.sites import Site
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.text.corpora import Corpus, Source


def harvest(
    model: Model,
    corpus: Source | Corpus,
    sites: str | Site | Sequence[str | Site],
    folder: str | Path,
    settings: Harvest | None = None,
    progress: Progress | None = None,
) -> ActivationStore:
    """Return the store in `folder` with what was asked for, going on with what is there already."""
    raise NotImplementedError
