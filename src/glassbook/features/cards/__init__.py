"""Cards: what is known of each feature of a dictionary, made in one pass over a harvest and kept beside the dictionary."""

from glassbook.features.cards.card import Card, Cards, Example, Histogram
from glassbook.features.cards.files import cards_faults, has_cards, open_cards, save_cards

__all__ = ["Card", "Cards", "Example", "Histogram", "cards_faults", "has_cards", "open_cards", "save_cards"]
