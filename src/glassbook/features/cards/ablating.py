"""What a feature does to the next tokens of its examples: the exact pass with it beside the exact pass without."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.activations.store.store import ActivationStore
from glassbook.core.taps import Edit, Span
from glassbook.features.cards.card import Cards, Example, pack
from glassbook.features.dictionary import Dictionary
from glassbook.features.splicing import splice
from glassbook.models.model import Model


def ablation_effect(
    model: Model, dictionary: Dictionary, store: ActivationStore, feature: int, example: Example
) -> tuple[float, ...]:
    """Return, for each token of an example, its log-probability with the feature less that without, in nats.

    The model reads the whole context up to the example's end, as in the harvest; without means that wherever the feature is
    active in it, what it writes is taken away and all else of the activation stays. A context's first token has no
    probability and gets 0.
    """
    stop = example.start + len(example.tokens)
    batch = model.read([store.context(example.context).tokens[:stop].tolist()], False)
    edits = _without(model, dictionary, feature)
    prefix = Prefix.below(model, batch, [edits])
    first = max(example.start, 1)
    reads = [list(range(first - 1, stop - 1))]
    if not reads[0]:
        return (0.0,) * len(example.tokens)
    targets = batch.ids[0, first:stop]
    with_it, without = (_log_probs(prefix.logits(some, reads)[0], targets) for some in ([], edits))
    return (*(0.0,) * (first - example.start), *(with_it - without).tolist())


def with_ablation(
    cards: Cards, model: Model, dictionary: Dictionary, store: ActivationStore, features: Sequence[int], examples: int
) -> Cards:
    """Return the cards with the effect of ablating some features on so many of their top examples."""
    packed: dict[int, bytes] = {}
    for feature in features:
        card = cards.card(feature)
        effects = [ablation_effect(model, dictionary, store, feature, one) for one in card.top[:examples]]
        packed[feature] = pack(replace(card, ablation=tuple(effects)))

    def read(feature: int) -> bytes:
        return packed[feature] if feature in packed else cards.packed(feature)

    return Cards(cards.facts, cards.counts, cards.largest, read, lambda: cards.vocabulary)


def _without(model: Model, dictionary: Dictionary, feature: int) -> list[Edit]:
    def ablate(features: Float[Tensor, "batch pos n_features"], span: Span) -> Float[Tensor, "batch pos n_features"]:
        chosen = torch.arange(features.shape[-1], device=features.device) == feature
        return features.masked_fill(chosen, 0)

    return [edit for one in splice(dictionary, change=ablate) for edit in one.edits_for(model)]


def _log_probs(logits: Float[Tensor, "read d_vocab"], targets: Tensor) -> Float[Tensor, " read"]:
    return logits.float().log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)
