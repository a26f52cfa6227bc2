"""Text dealt by chance with planted features whose meaning is known: cards and ordinary text as a real dictionary has them."""

from dataclasses import dataclass

import msgspec
import numpy as np

from glassbook.core.seeds import generator
from glassbook.features.cards import Card, Cards, Example
from glassbook.features.cards.card import Histogram
from glassbook.features.labels import Background, Labelling, LabelSettings, Lexicon, Passages

NUMBERS = [f" {n * n * n}" for n in range(2, 22)]
"""More of them than a rule may list as words."""
TEXTS = [f" {chr(97 + i)}ord{chr(97 + j)}" for i in range(10) for j in range(4)] + [" sail", " old", " ,", *NUMBERS]
SAIL, OLD = TEXTS.index(" sail"), TEXTS.index(" old")
LENGTH, N = 16, 900
NAMES = ("a word", "a place", "what stands after a word", "digits", "a document", "chance", "nothing")
KINDS = dict(zip(NAMES, ("token", "position", "n-gram", "script", "document", "none", "none"), strict=True))


@dataclass(frozen=True)
class Planted:
    """Cards and ordinary text of the planted features, in the order of NAMES."""

    cards: "PlantedCards"
    background: Background

    def labelling(self, **changes: object) -> Labelling:
        """Return the making of labels from both."""
        return Labelling(self.cards, self.background, LabelSettings(**changes))  # type: ignore[arg-type]


class PlantedCards(Cards):
    """Cards that are at hand unpacked."""

    def __init__(self, cards: list[Card], lexicon: Lexicon) -> None:
        largest = np.array([card.max_activation for card in cards], np.float32)
        counts = np.array([len(card.examples) for card in cards])
        facts = {"settings": {"before": 8, "after": 7}, "n_tokens": N * LENGTH}
        super().__init__(facts, counts, largest, lambda one: msgspec.json.encode(one), lambda: dict(enumerate(TEXTS)))
        self._at_hand, self._lexicon = cards, lexicon

    def card(self, feature: int) -> Card:
        """Return one card."""
        return self._at_hand[feature]


def plant(seed: int = 0) -> Planted:
    """Return planted features on text that is dealt by a seed."""
    draw = np.random.default_rng(seed + generator(seed, "planted text").initial_seed() % 1000)
    lexicon = Lexicon.of_strings(TEXTS)
    tokens = draw.integers(len(TEXTS), size=(2 * N, LENGTH))
    # Rare words and documents are what labels are about: at most passages a feature is silent.
    for rare, share in ((SAIL, 0.15), (OLD, 0.15)):
        tokens[(tokens == rare)] = 0
        rows = np.nonzero(draw.random(len(tokens)) < share)[0]
        tokens[rows, draw.integers(1, LENGTH - 1, len(rows))] = rare
    for number in map(TEXTS.index, NUMBERS):
        tokens[(tokens == number) & (draw.random(tokens.shape) < 0.98)] = 1
    starts = draw.integers(0, 40, len(tokens)) * LENGTH
    documents = draw.integers(0, 12, len(tokens))
    passages = Passages(lexicon, tokens, np.zeros(tokens.shape, np.float32), starts, documents)
    where = _where(passages, draw)
    values = [np.where(one, 1 + draw.random(one.shape), 0).astype(np.float32) for one in where]
    halves = np.arange(N), np.arange(N, 2 * N)
    cards = [_card(feature, passages.rows(halves[0]), value[:N]) for feature, value in enumerate(values)]
    return Planted(PlantedCards(cards, lexicon), _background(passages.rows(halves[1]), [one[N:] for one in values]))


def _where(passages: Passages, draw: np.random.Generator) -> list[np.ndarray]:
    tokens = passages.tokens
    after = np.zeros(tokens.shape, bool)
    after[:, 1:] = tokens[:, :-1] == OLD
    first = np.zeros(tokens.shape, bool)
    first[passages.starts < 2 * LENGTH, :3] = True
    digits = np.isin(tokens, list(map(TEXTS.index, NUMBERS)))
    one_document = np.zeros(tokens.shape, bool)
    one_document[passages.documents == 3] = draw.random((int((passages.documents == 3).sum()), LENGTH)) < 0.4
    chance = draw.random(tokens.shape) < 0.01
    return [tokens == SAIL, first, after, digits, one_document, chance, np.zeros(tokens.shape, bool)]


def _card(feature: int, passages: Passages, values: np.ndarray) -> Card:
    rows = np.nonzero(values.any(1))[0]
    rows = rows[np.argsort(-values[rows].max(1), kind="stable")][:40]
    examples = tuple(
        Example(
            tokens=tuple(passages.tokens[row].tolist()),
            activations=tuple(values[row].tolist()),
            document=int(passages.documents[row]),
            peak=int(values[row].argmax()),
            interval=0,
            context=int(row),
            start=int(passages.starts[row]),
        )
        for row in rows
    )
    largest = float(values.max())
    return Card(
        feature=feature,
        density=float((values > 0).mean()),
        max_activation=largest,
        histogram=Histogram((0.0, largest), (int((values > 0).sum()),)),
        examples=examples,
    )


def _background(passages: Passages, values: list[np.ndarray]) -> Background:
    found = [(feature, *np.nonzero(value), value[value > 0]) for feature, value in enumerate(values)]
    features = np.concatenate([np.full(len(rows), feature) for feature, rows, _, _ in found])
    rows, places, sizes = (np.concatenate([one[part] for one in found]) for part in (1, 2, 3))
    return Background(passages, features, rows, places, sizes)
