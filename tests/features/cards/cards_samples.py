"""Cards with drawn numbers, and folders to lay them in."""

from pathlib import Path

import numpy as np

from glassbook.features.cards import Card, Cards, Example, Histogram
from glassbook.features.cards.card import pack
from glassbook.features.dictionary import Dictionary, make_dictionary
from glassbook.features.files import save_dictionary


def a_card(feature: int, n_examples: int = 3, seed: int = 0) -> Card:
    """Return a card of three numbers each; its activations are those that half precision can hold."""
    draw = np.random.default_rng([seed, feature])
    examples = []
    for number in range(n_examples):
        values = draw.integers(0, 3, 7) * 2.0
        values[4] = 8.0 / (number + 1) if number < 2 else 4.0
        tokens = tuple(draw.integers(0, 70_000, 7).tolist())
        examples.append(Example(tokens, tuple(values.tolist()), int(draw.integers(0, 90)), 4, 0 if number < 2 else 2))
    numbers = np.float32(draw.normal(size=3)).tolist()
    names = ("one", " two", "<b>three</b>")
    ranked = tuple(zip(names, numbers, strict=True))
    return Card(
        feature=feature,
        density=0.25,
        max_activation=8.0,
        histogram=Histogram((0.0, 4.0, 8.0), (3, 1)),
        examples=tuple(examples),
        logits_up=ranked,
        logits_down=ranked[::-1],
        nearest=tuple(zip((5, 4, 0), numbers, strict=True)),
        together=((1, 0.5),),
        neurons=(("L1.mlp_post.N3", numbers[0]),),
        ablation=(tuple(np.float32(draw.normal(size=7)).tolist()),),
    )


def some_cards(n_features: int = 6) -> Cards:
    """Return cards in memory."""
    cards = [a_card(feature) for feature in range(n_features)]
    packed = [pack(card) for card in cards]
    ids = {token for card in cards for example in card.examples for token in example.tokens}
    facts = {"tokens": 40, "site": "L1.resid_post"}
    counts, largest = np.full(n_features, 10, np.int64), np.full(n_features, 8.0, np.float32)
    return Cards(facts, counts, largest, packed.__getitem__, lambda: {token: f"<{token}>" for token in ids})


def a_dictionary_folder(folder: Path, n_features: int = 6) -> Dictionary:
    """Write a dictionary into a folder, and return it."""
    made = make_dictionary("topk", 4, n_features, 4, {"k": 2})
    save_dictionary(folder, made)
    return made
