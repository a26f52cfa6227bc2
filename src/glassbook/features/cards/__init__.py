"""Cards: what is known of each feature of a dictionary, made in one pass over a harvest and kept beside the dictionary."""

from glassbook.features.cards.ablating import ablation_effect, with_ablation
from glassbook.features.cards.card import Card, Cards, Example, Histogram
from glassbook.features.cards.files import cards_faults, has_cards, open_cards, save_cards
from glassbook.features.cards.making import make_cards
from glassbook.features.cards.settings import CardSettings
from glassbook.features.cards.showing import card_view

__all__ = [
    "Card",
    "CardSettings",
    "Cards",
    "Example",
    "Histogram",
    "ablation_effect",
    "card_view",
    "cards_faults",
    "has_cards",
    "make_cards",
    "open_cards",
    "save_cards",
    "with_ablation",
]
