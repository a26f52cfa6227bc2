"""Ordinary text, drawn without regard to any feature, with every feature's activation at each of its tokens.

What a label must not be told of is taken from here: passages in which the feature is silent, known exactly and not by guess.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from glassbook.activations.store import ActivationStore
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.dictionary import Dictionary
from glassbook.features.labels.lexicon import Lexicon
from glassbook.features.labels.passages import NONE, Passages
from glassbook.features.listing import list_active
from glassbook.files.hashes import Progress

READING = "reading ordinary text"
_LEAST_SHARE = 3
"""A stretch that a context's or document's end cuts to less than one part in so many is left out."""


@dataclass(frozen=True)
class Background:
    """Passages, and which features are active where in them; `features` is sorted, the others are in its order."""

    passages: Passages
    features: Int[NDArray[Any], " entries"]
    rows: Int[NDArray[Any], " entries"]
    places: Int[NDArray[Any], " entries"]
    values: Float[NDArray[Any], " entries"]

    def __len__(self) -> int:
        return len(self.passages)

    def activations(self, feature: int) -> Float[NDArray[Any], "n length"]:
        """Return one feature's activation at each token."""
        part = self._part(feature)
        found = np.zeros(self.passages.tokens.shape, np.float32)
        found[self.rows[part], self.places[part]] = self.values[part]
        return found

    def silent(self, feature: int) -> Bool[NDArray[Any], " n"]:
        """Return in which passages a feature is active nowhere."""
        found = np.ones(len(self), bool)
        found[self.rows[self._part(feature)]] = False
        return found

    def _part(self, feature: int) -> slice:
        start, stop = np.searchsorted(self.features, [feature, feature + 1])
        return slice(int(start), int(stop))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a context: where it begins and ends, and of which document it is."""

    context: int
    first: int
    stop: int
    document: int


Entries = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def read_background(
    dictionary: Dictionary,
    store: ActivationStore,
    lexicon: Lexicon,
    shown: int,
    n_passages: int,
    seed: int,
    progress: Progress | None = None,
) -> Background:
    """Return about so many passages of up to `shown` tokens from contexts drawn by chance; one document each.

    Raises InputError for a store that holds no whole passage.
    """
    site = Site.parse(dictionary.facts["site"])
    passages, entries = list[tuple[Stretch, NDArray[Any]]](), list[Entries]()
    bounds = np.searchsorted(store.contexts().numpy(), np.arange(store.n_contexts + 1))
    for context in _drawn(store, shown, n_passages, seed):
        read = store.context(int(context))
        cut = _cut(read.documents, int(context), shown, seed)
        rows = slice(int(bounds[context]), int(bounds[context + 1]))
        positions = store.positions(rows.start, rows.stop).numpy()
        found = list_active(dictionary, store.rows(site, rows.start, rows.stop).to(torch.float32))
        entries.append(_placed(cut, len(passages), positions, found))
        passages += [(stretch, read.tokens[stretch.first : stretch.stop]) for stretch in cut]
        if progress:
            progress(READING, min(len(passages), n_passages), n_passages)
        if len(passages) >= n_passages:
            break
    if not passages:
        raise InputError(f"'{store.folder}' holds no passage of {shown} tokens; give a larger harvest")
    return _assembled(passages, entries, lexicon, shown)


def _drawn(store: ActivationStore, shown: int, n_passages: int, seed: int) -> Iterator[Any]:
    """Yield contexts in an order of chance, those that are read soon in the order in which they lie."""
    order = np.random.default_rng([seed, 1]).permutation(store.n_contexts)
    longest = max(1, int(store.about.settings["context"]) // shown)
    at_once = max(1, n_passages // longest)
    for first in range(0, len(order), at_once):
        yield from np.sort(order[first : first + at_once])


def _cut(documents: Int[NDArray[Any], " pos"], context: int, shown: int, seed: int) -> list[Stretch]:
    """Return a context in stretches that never reach from one document into the next, the first of a length of chance."""
    first = int(np.random.default_rng([seed, 2, context]).integers(1, shown + 1))
    ends = {len(documents), *(int(place) + 1 for place in np.nonzero(np.diff(documents))[0])}
    ends |= set(range(first, len(documents), shown))
    found, start = [], 0
    for stop in sorted(ends):
        if (stop - start) * _LEAST_SHARE >= shown:
            found.append(Stretch(context, start, stop, int(documents[start])))
        start = stop
    return found


def _placed(cut: list[Stretch], n_before: int, positions: NDArray[Any], found: Any) -> Entries:
    """Return what is active in a context by feature, passage, place and value; what no stretch holds is left out."""
    passage = np.full(int(positions.max(initial=-1)) + 1, NONE, np.int64)
    start = np.zeros_like(passage)
    for number, stretch in enumerate(cut):
        passage[stretch.first : stretch.stop] = n_before + number
        start[stretch.first : stretch.stop] = stretch.first
    at = positions[found.rows.cpu().numpy()]
    kept = passage[at] != NONE
    features, values = found.features.cpu().numpy()[kept], found.values.cpu().numpy()[kept]
    return features.astype(np.int64), passage[at][kept], (at - start[at])[kept], values.astype(np.float32)


def _assembled(
    passages: list[tuple[Stretch, NDArray[Any]]], entries: list[Entries], lexicon: Lexicon, shown: int
) -> Background:
    tokens = np.full((len(passages), shown), NONE, np.int64)
    for row, (_, ids) in enumerate(passages):
        tokens[row, : len(ids)] = ids
    starts = np.array([stretch.first for stretch, _ in passages], np.int64)
    documents = np.array([stretch.document for stretch, _ in passages], np.int64)
    nothing = np.zeros(tokens.shape, np.float32)
    joined = [np.concatenate(column) for column in zip(*entries, strict=True)]
    order = joined[0].argsort(kind="stable")
    features, rows, places, values = (column[order] for column in joined)
    return Background(Passages(lexicon, tokens, nothing, starts, documents), features, rows, places, values)
