"""What a training is fed with: activations of a corpus that a model reads meanwhile, or those of a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glassbook.activations.store.settings import Harvest
from glassbook.activations.store.store import ActivationStore
from glassbook.activations.store.streaming import stream
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.models.identity import Identity
from glassbook.models.model import Model
from glassbook.text.corpora import Corpus, Source
from glassbook.training import Stream

CORPUS_TOKENS = 200_000
"""Tokens of a corpus that are learned from where nothing else is asked."""


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How much is learned from: tokens (None: all of a store, 200,000 of a corpus), rows of a batch, seed of their order.

    `harvest` says how a corpus is read; a store has been read already.
    """

    tokens: int | None = None
    batch_size: int = 4096
    seed: int = 0
    harvest: Harvest | None = None


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A Stream of activations, for how many steps it is asked for, its widths (read and written), whose weights made it."""

    rows: Stream
    steps: int
    widths: tuple[int, int]
    weights: Identity
    about: Callable[[], Mapping[str, Any]]
    asked: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """Return weights, Sites, corpus as far as it was read, how it was harvested and how rows were drawn, as plain data."""
        known = self.about()
        named = {"weights": known["weights"], "corpus": known["corpus"], "harvest": known["settings"]}
        return dict(self.asked) | named


def feed_of(
    model: Model | None,
    corpus: Source | Corpus | ActivationStore,
    sites: Sequence[str | Site],
    feeding: Feeding | None = None,
) -> Feed:
    """Return what a training at one Site is fed with, or at the two Sites of a transcoder, what is read and what is written.

    Raises InputError where there is not enough for one batch, or a store is of another model.
    """
    how = feeding or Feeding()
    parsed = [Site.parse(one) for one in sites]
    if len(parsed) not in (1, 2):
        raise InputError(f"a dictionary has one Site, a transcoder two, and {len(parsed)} were given; name one or two")
    given = corpus.n_tokens if isinstance(corpus, ActivationStore) else CORPUS_TOKENS
    tokens = given if how.tokens is None else how.tokens
    if tokens < how.batch_size or how.batch_size < 1:
        raise InputError(
            f"{tokens:,} tokens make no batch of {how.batch_size:,}; give more tokens or a smaller batch_size"
        )
    steps = tokens // how.batch_size
    named = {"site": str(parsed[0])} | ({"site_out": str(parsed[1])} if len(parsed) == 2 else {})
    asked = named | {"tokens": steps * how.batch_size, "batch_size": how.batch_size, "order_seed": how.seed}
    of = _of_store if isinstance(corpus, ActivationStore) else _of_corpus
    return of(model, corpus, parsed, how, steps, asked)  # type: ignore[arg-type]


def _of_store(
    model: Model | None, store: ActivationStore, sites: list[Site], how: Feeding, steps: int, asked: dict[str, Any]
) -> Feed:
    if model is not None:
        store.check_weights(model.identity)
    rows = store.batches(_single(sites), how.batch_size, seed=how.seed, epochs=None)
    widths = store.width(sites[0]), store.width(sites[-1])
    return Feed(rows=rows, steps=steps, widths=widths, weights=store.identity, about=lambda: store.facts, asked=asked)


def _of_corpus(
    model: Model | None, corpus: Source | Corpus, sites: list[Site], how: Feeding, steps: int, asked: dict[str, Any]
) -> Feed:
    if model is None:
        raise InputError("a corpus needs a model that reads it; give one, or a store instead of the corpus")
    enough = replace(how.harvest or Harvest(), tokens=int(asked["tokens"]))
    rows = stream(model, corpus, _single(sites), enough, batch_size=how.batch_size, seed=how.seed)
    widths = rows.reader.widths[sites[0]], rows.reader.widths[sites[-1]]
    return Feed(rows=rows, steps=steps, widths=widths, weights=model.identity, about=lambda: rows.facts, asked=asked)


def _single(sites: list[Site]) -> Any:
    return sites[0] if len(sites) == 1 else sites
