"""From a harvest to cards: one pass over the store, then what directions say by themselves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from glassbook.activations.store.store import ActivationStore
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.cards.card import Card, Cards, Ranked, pack
from glassbook.features.cards.collecting import Collector
from glassbook.features.cards.directions import (
    logit_weights,
    nearest_directions,
    nearest_neurons,
    speaks,
    texts,
)
from glassbook.features.cards.reading import read_chunks
from glassbook.features.cards.settings import CardSettings
from glassbook.features.cards.together import active_together
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.files.hashes import Progress
from glassbook.models.identity import Identity
from glassbook.models.model import Model


def make_cards(
    model: Model,
    dictionary: Dictionary,
    store: ActivationStore,
    settings: CardSettings | None = None,
    progress: Progress | None = None,
) -> Cards:
    """Return the cards of a dictionary's features over all tokens of a store, which is read once and in its own order.

    Raises InputError for a store of another model, SiteError for one without the dictionary's Site, DictionaryError for one of
    another width, MemoryLimitError where the cards alone would not fit.
    """
    wanted = settings or CardSettings()
    site = check_together(model, dictionary, store)
    collector = Collector(dictionary.n_features, wanted)
    for chunk, n_rows in read_chunks(dictionary, store, site, wanted):
        collector.add(chunk, n_rows)
        if progress:
            progress("reading the harvest", collector.n_tokens, store.n_tokens)
    return _assembled(model, dictionary, collector, _facts(model, dictionary, store, wanted))


def check_together(model: Model, dictionary: Dictionary, store: ActivationStore) -> Site:
    """Return the Site that a dictionary reads; raise unless model, dictionary and store belong together."""
    named = dictionary.facts.get("site")
    if not named:
        raise InputError("this dictionary does not say at which Site it was trained; put it into its facts as 'site'")
    site = Site.parse(named)
    width = store.width(site)
    if width != dictionary.d_in:
        raise DictionaryError(
            f"this {dictionary.kind} dictionary reads activations of {dictionary.d_in} numbers and those at {site} in "
            f"'{store.folder}' have {width}; give a store of what it was trained on"
        )
    store.check_weights(model.identity)
    weights = dictionary.facts.get("weights")
    if weights and Identity(**weights).lineage != model.identity.lineage:
        raise InputError(
            f"the dictionary was trained on {Identity(**weights).label} and this model is {model.identity.label}, "
            "which is not the same model; open that one"
        )
    if not store.n_tokens:
        raise InputError(f"'{store.folder}' holds no tokens yet; harvest some first")
    return site


def _assembled(model: Model, dictionary: Dictionary, collector: Collector, facts: dict[str, Any]) -> Cards:
    """Return what was collected, and what the directions say, as cards."""
    settings = collector.settings
    chosen = range(dictionary.n_features) if settings.only is None else settings.only
    written, decoder = dictionary.facts.get("site_out") or dictionary.facts["site"], dictionary.decoder.detach()
    logits: Sequence[tuple[Ranked, Ranked]] = [((), ())] * len(chosen)
    neurons: Sequence[Ranked] = [()] * len(chosen)
    if speaks(model, written) and len(chosen):
        logits = logit_weights(model, decoder[list(chosen)], written, settings.listed)
        neurons = nearest_neurons(model, decoder[list(chosen)], settings.listed)
    nearest = nearest_directions(decoder, settings.listed, chosen)
    together = active_together(collector.sampled.keys, settings.listed, chosen)
    place_of = {feature: place for place, feature in enumerate(chosen)}
    packed, ids = [], set[int]()
    for feature in range(dictionary.n_features):
        card = _counted(collector, feature)
        if (place := place_of.get(feature)) is not None:
            card = replace(
                card,
                examples=collector.examples(feature),
                logits_up=logits[place][0],
                logits_down=logits[place][1],
                nearest=nearest[place],
                together=together[place],
                neurons=neurons[place],
            )
        packed.append(pack(card))
        ids.update(*(example.tokens for example in card.examples))
    names = sorted(ids)
    vocabulary = dict(zip(names, texts(model, names), strict=True))
    return Cards(facts, collector.activity.counts, collector.activity.largest, packed.__getitem__, lambda: vocabulary)


def _counted(collector: Collector, feature: int) -> Card:
    """Return what was counted of one feature."""
    activity = collector.activity
    return Card(
        feature=feature,
        density=float(activity.counts[feature]) / collector.n_tokens,
        max_activation=float(activity.largest[feature]),
        histogram=activity.histogram(feature),
        examples=(),
    )


def _facts(model: Model, dictionary: Dictionary, store: ActivationStore, settings: CardSettings) -> dict[str, Any]:
    """Return of what the cards are: the dictionary, the model, and exactly which tokens."""
    told = store.facts
    site_out = dictionary.facts.get("site_out")
    return {
        "kind": dictionary.kind,
        "site": str(Site.parse(dictionary.facts["site"])),
        "site_out": str(Site.parse(site_out)) if site_out else None,
        "weights": model.identity.to_dict(),
        "corpus": told["corpus"],
        "harvest": told["settings"],
        "tokens": store.n_tokens,
        "contexts": store.n_contexts,
        "settings": settings.asked(),
    }
