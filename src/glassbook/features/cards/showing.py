"""A card as a picture: its tokens as text, its intervals by their ends."""

from collections.abc import Mapping, Sequence

from glassbook.features.cards.activity import BINS, INTERVALS
from glassbook.features.cards.card import Card, Cards, Example
from glassbook.views.feature_card import FeatureCard, Passage, Passages
from glassbook.views.numbers import spell
from glassbook.views.page import Making, Section, render_page

_PER_INTERVAL = BINS // INTERVALS


def card_view(cards: Cards, feature: int, label: str = "", top: int = 8, listed: int = 8) -> FeatureCard:
    """Return the picture of one card: so many of its top examples and of each list, and all of its samples."""
    card = cards.card(feature)
    facts = cards.facts
    return FeatureCard(
        title=f"Feature {feature}",
        caption=f"Over {cards.n_tokens:,} tokens of {facts['corpus']['name']} at {facts['site']}.",
        density=card.density,
        largest=card.max_activation,
        edges=card.histogram.edges,
        counts=card.histogram.counts,
        groups=_groups(cards, card, top),
        lists=_lists(card, listed),
        label=label,
    )


def _groups(cards: Cards, card: Card, top: int) -> list[Passages]:
    found = [Passages(name="Largest activations", passages=_passages(cards, card.top[:top], card.ablation))]
    for interval in sorted({example.interval for example in card.examples} - {0}):
        inside = [example for example in card.examples if example.interval == interval]
        found.append(Passages(name=interval_name(card, interval), passages=_passages(cards, inside)))
    return found if card.examples else []


def _passages(cards: Cards, examples: Sequence[Example], effects: Sequence[Sequence[float]] = ()) -> list[Passage]:
    return [
        Passage(
            tokens=cards.token_strings(example.tokens),
            values=example.activations,
            peak=example.peak,
            effects=effects[number] if number < len(effects) else (),
        )
        for number, example in enumerate(examples)
    ]


def interval_name(card: Card, interval: int) -> str:
    """Return an interval of activation by its ends, such as `8 to 12`."""
    edges = card.histogram.edges
    width = (edges[1] - edges[0]) * _PER_INTERVAL
    place = int(card.max_activation / width) - interval + 1
    return f"{spell(place * width)} to {spell((place + 1) * width)}"


def _lists(card: Card, listed: int) -> list[tuple[str, list[tuple[str, float]]]]:
    features = [("Nearest directions", card.nearest), ("Active together", card.together)]
    named = [(name, [(f"F{other}", value) for other, value in pairs[:listed]]) for name, pairs in features]
    ranked = [("Raises", card.logits_up), ("Lowers", card.logits_down), ("Neurons", card.neurons)]
    words = [(name, list(pairs[:listed])) for name, pairs in ranked]
    return [one for one in (*words[:2], *named, words[2]) if one[1]]


def cards_page(
    cards: Cards,
    features: Sequence[int],
    facts: Mapping[str, str],
    making: Making,
    labels: Mapping[int, str] | None = None,
) -> str:
    """Return a page of cards, which needs no network and no script; `labels` says what some of the features stand for."""
    known = labels or {}
    told = cards.facts
    active = int((cards.counts > 0).sum())
    lead = (
        f"{len(features):,} of {cards.n_features:,} features of a {told['kind']} dictionary at {told['site']}, "
        f"over {cards.n_tokens:,} tokens of {told['corpus']['name']}; {active:,} features are ever active."
    )
    views = [card_view(cards, feature, known.get(feature, "")) for feature in features]
    return render_page("What do these features stand for?", lead, [Section("Features", "", views)], facts, making)
