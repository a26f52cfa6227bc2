"""Cards as they are defined, with a number for every feature of every token and no thought for memory or time."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from features.cards.small_stores import SITE
from glassbook.activations.store.store import ActivationStore
from glassbook.features.cards import CardSettings, Example, Histogram
from glassbook.features.cards.best import keys_by_chance
from glassbook.features.dictionary import Dictionary


@dataclass
class Dense:
    """A store with all features of all of its rows."""

    store: ActivationStore
    features: np.ndarray
    contexts: list[int]
    positions: list[int]
    settings: CardSettings

    @classmethod
    def of(cls, dictionary: Dictionary, store: ActivationStore, settings: CardSettings) -> "Dense":
        features = dictionary.encode(store.rows(SITE).float()).clamp(min=0).numpy()
        return cls(store, features, store.contexts().tolist(), store.positions().tolist(), settings)

    def histogram(self, feature: int) -> Histogram:
        active = [value for value in self.features[:, feature].tolist() if value > 0]
        if not active:
            return Histogram((), ())
        width = self.range(feature) / 32
        n = math.floor(max(active) / width) + 1
        counts = [sum(part * width <= value < (part + 1) * width for value in active) for part in range(n)]
        return Histogram(tuple(part * width for part in range(n + 1)), tuple(counts))

    def range(self, feature: int) -> float:
        """The power of two next above the largest activation."""
        return 2.0 ** (math.floor(math.log2(self.features[:, feature].max())) + 1)

    def peaks(self, feature: int) -> list[int]:
        """Of each context with the feature the first of the rows where it is largest."""
        found = []
        for context in sorted(set(self.contexts)):
            rows = [row for row, one in enumerate(self.contexts) if one == context and self.features[row, feature] > 0]
            if rows:
                found.append(max(rows, key=lambda row: (self.features[row, feature], -row)))
        return found

    def chosen(self, feature: int) -> list[tuple[int, int]]:
        """The row and the interval of each example."""
        values, peaks = self.features[:, feature], self.peaks(feature)
        if not peaks:
            return []
        top = sorted(peaks, key=lambda row: (-values[row], row))[: self.settings.top]
        width = self.range(feature) / 8
        highest = math.floor(values.max() / width)
        found = [(row, 0) for row in top]
        for interval in range(highest, -1, -1):
            inside = [row for row in peaks if interval * width <= values[row] < (interval + 1) * width]
            inside.sort(key=self.chance)
            kept = inside[: self.settings.samples]
            found += [(row, highest - interval + 1) for row in kept if row not in top]
        return found

    def chance(self, row: int) -> int:
        return int(keys_by_chance(np.array([row]), self.settings.seed)[0])

    def example(self, feature: int, row: int, interval: int) -> Example:
        context = self.store.context(self.contexts[row])
        at = self.positions[row]
        shown = [
            place
            for place in range(at - self.settings.before, at + self.settings.after + 1)
            if 0 <= place < len(context.tokens) and context.documents[place] == context.documents[at]
        ]
        known = {
            self.positions[other]: float(self.features[other, feature])
            for other, one in enumerate(self.contexts)
            if one == self.contexts[row]
        }
        return Example(
            tokens=tuple(int(context.tokens[place]) for place in shown),
            activations=tuple(known.get(place, 0.0) for place in shown),
            document=int(context.documents[at]),
            peak=shown.index(at),
            interval=interval,
            context=self.contexts[row],
            start=shown[0],
        )

    def together(self, one: int, other: int) -> float:
        """Both as a share of either, among the tokens whose keys both samples reach."""
        rows = [set(np.nonzero(self.features[:, feature])[0].tolist()) for feature in (one, other)]
        reach = min(self._reach(part) for part in rows)
        first, second = ({row for row in part if self.chance(row) <= reach} for part in rows)
        return len(first & second) / len(first | second) if first & second else 0.0

    def _reach(self, rows: set[int]) -> float:
        keys = sorted(map(self.chance, rows))[: self.settings.sampled]
        return keys[-1] if len(keys) == self.settings.sampled else math.inf


def cosines(rows: torch.Tensor) -> torch.Tensor:
    """The cosine of every row with every other."""
    return torch.nn.functional.cosine_similarity(rows[:, None].double(), rows[None].double(), dim=-1)
