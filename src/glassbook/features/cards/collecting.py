"""What one pass over a store collects of each feature, in memory that does not grow with the store."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from glassbook.features.cards.activity import BINS, INTERVALS, Activity
from glassbook.features.cards.best import NONE, Best, Samples, keys_by_chance, keys_of_values
from glassbook.features.cards.card import Example
from glassbook.features.cards.chunk import Chunk
from glassbook.features.cards.settings import CardSettings

_KEY_BYTES, _TOKEN_BYTES, _PLACE_BYTES = 8, 8, 24


class Chosen:
    """Examples of each group: the best by a key, with the text and the activations around each."""

    def __init__(self, n_groups: int, size: int, settings: CardSettings) -> None:
        self.best, self.settings = Best(n_groups, size), settings
        shape = (n_groups * size, settings.shown)
        self.tokens = np.full(shape, -1, np.int32)
        self.activations = np.zeros(shape, np.float32)
        self.where = np.zeros((n_groups * size, 3), np.int64)
        """Context in the store, position in the context, and document of each example's peak."""

    def offer(
        self,
        groups: Int[NDArray[Any], " n"],
        keys: Int[NDArray[Any], " n"],
        chunk: Chunk,
        places: Int[NDArray[Any], " n"],
    ) -> None:
        """Keep those of some entries of a chunk that are among the best of their group."""
        items, kept_at = self.best.offer(groups, keys)
        chosen = places[items]
        for part, around in chunk.stretches(chosen, self.settings.before, self.settings.after):
            self.tokens[kept_at[part]] = around.tokens
            self.activations[kept_at[part]] = around.activations
        contexts, positions = chunk.contexts[chosen], chunk.positions[chosen]
        documents = chunk.text.documents[contexts, positions]
        self.where[kept_at] = np.stack([contexts + chunk.text.first, positions, documents], 1)

    def join(self, old: Int[NDArray[Any], " n"], new: Int[NDArray[Any], " n"]) -> None:
        """Move what some groups hold into others, several perhaps into one, where the best stay."""
        keys = self.best.keys[old]
        group, place = (keys != NONE).nonzero()
        from_place = old[group] * self.best.size + place
        moved = (keys[group, place], self.tokens[from_place], self.activations[from_place], self.where[from_place])
        self.best.clear(old)
        items, kept_at = self.best.offer(new[group], moved[0])
        self.tokens[kept_at], self.activations[kept_at], self.where[kept_at] = (kept[items] for kept in moved[1:])

    def held(self, group: int) -> Int[NDArray[Any], " n"]:
        """Return the places that hold a group's examples, the one with the smallest key first."""
        keys = self.best.keys[group]
        order = keys.argsort()
        return group * self.best.size + order[: int((keys != NONE).sum())]

    def example(self, place: int, interval: int) -> Example:
        """Return what is held at a place, without what is not of its document."""
        shown = (self.tokens[place] >= 0).nonzero()[0]
        first, last = int(shown[0]), int(shown[-1]) + 1
        context, position, document = self.where[place].tolist()
        before = self.settings.before
        return Example(
            tokens=tuple(self.tokens[place, first:last].tolist()),
            activations=tuple(self.activations[place, first:last].tolist()),
            document=document,
            peak=before - first,
            interval=interval,
            context=context,
            start=position - before + first,
        )


class Collector:
    """All that is kept of the chunks that were added."""

    def __init__(self, n_features: int, settings: CardSettings) -> None:
        self.n_features, self.settings, self.n_tokens = n_features, settings, 0
        self.activity = Activity(n_features)
        self.top = Chosen(n_features, settings.top, settings)
        self.spread = Chosen(n_features * INTERVALS, settings.samples, settings)
        self.sampled = Samples(n_features, settings.sampled)

    @staticmethod
    def bytes_for(n_features: int, settings: CardSettings) -> int:
        """Return how much memory a collector takes."""
        examples = settings.top + INTERVALS * settings.samples
        each = _KEY_BYTES + _PLACE_BYTES + settings.shown * _TOKEN_BYTES
        return n_features * (examples * each + settings.sampled * _KEY_BYTES + 2 * BINS * _KEY_BYTES)

    def add(self, chunk: Chunk, n_tokens: int) -> None:
        """Collect from a chunk of so many tokens; the order of chunks and how they are parted changes nothing."""
        self.n_tokens += n_tokens
        self._widen(self.activity.add(chunk.features, chunk.values))
        self.sampled.offer(chunk.features, keys_by_chance(chunk.rows, self.settings.seed))
        peaks = chunk.peaks()
        features, values, rows = chunk.features[peaks], chunk.values[peaks], chunk.rows[peaks]
        self.top.offer(features, keys_of_values(values, rows), chunk, peaks)
        groups = features * INTERVALS + self.activity.interval(features, values)
        self.spread.offer(groups, keys_by_chance(rows, self.settings.seed), chunk, peaks)

    def examples(self, feature: int) -> tuple[Example, ...]:
        """Return the top examples, and samples of the intervals that are not among them."""
        top = self.top.held(feature)
        found = [self.top.example(place, 0) for place in top.tolist()]
        known = {tuple(where) for where in self.top.where[top, :2].tolist()}
        highest = self._highest_interval(feature)
        for interval in range(highest, -1, -1):
            for place in self.spread.held(feature * INTERVALS + interval).tolist():
                if tuple(self.spread.where[place, :2].tolist()) not in known:
                    found.append(self.spread.example(place, highest - interval + 1))
        return tuple(found)

    def _highest_interval(self, feature: int) -> int:
        largest = self.activity.largest[feature : feature + 1]
        return int(self.activity.interval(np.array([feature]), largest)[0]) if largest[0] else -1

    def _widen(self, grown: Int[NDArray[Any], " n_features"]) -> None:
        """Join intervals of features whose range has grown."""
        for shift in np.unique(grown[grown > 0]):
            features: Int[NDArray[Any], " n"] = self._with_samples(grown == shift)
            old = (features[:, None] * INTERVALS + np.arange(INTERVALS)).ravel()
            new = (features[:, None] * INTERVALS + (np.arange(INTERVALS) >> shift)).ravel()
            self.spread.join(old, new)

    def _with_samples(self, which: Bool[NDArray[Any], " n_features"]) -> Int[NDArray[Any], " n"]:
        keys = self.spread.best.keys.reshape(self.n_features, -1)[which]
        return which.nonzero()[0][(keys != NONE).any(1)] if keys.size else np.zeros(0, np.int64)
