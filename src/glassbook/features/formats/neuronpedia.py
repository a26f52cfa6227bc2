"""Neuronpedia, written: the cards of a dictionary as `batch-N.json`, in the form that SAEDashboard writes for it.

What a card does not have (correlations with neurons, a histogram of all logits) stays an empty list, as there. Labels become a
row each of `explanations.jsonl`, as in the exports of Neuronpedia.
"""

import json
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch

from glassbook.core.errors import InputError
from glassbook.features.cards import Card, Cards, has_cards, open_cards
from glassbook.features.cards.activity import BINS, INTERVALS
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.hooks import layer_of
from glassbook.features.formats.outcome import Exported, model_name
from glassbook.features.formats.writing import new_folder
from glassbook.features.labels import Labels, has_labels, open_labels
from glassbook.files.atomic import write_text

NAME = "neuronpedia"
EXPLANATIONS = "explanations.jsonl"
PER_FILE = 256
"""Features in one file."""

_DECIMALS = 3
_ALIGNED = 3
_TOP = {"bin_min": -1.0, "bin_max": 99.0, "bin_contains": -1.0}
"""How SAEDashboard marks the top examples, which come from no interval."""


def export_cards(dictionary: Dictionary, folder: str | Path, out: str | Path) -> Exported:
    """Write the cards beside a dictionary as feature files, and return what was written and not carried.

    Raises InputError where the folder has no cards, or the Site lies in no layer.
    """
    place, target = Path(folder), Path(out)
    if not has_cards(place):
        raise InputError(f"'{place}' has no cards to write; make them with glassbook features cards")
    cards = open_cards(place)
    layer = layer_of(dictionary.facts.get("site_out") or dictionary.facts.get("site"))
    if layer is None:
        raise InputError(
            f"the dictionary in '{place}' does not say of which layer it is, and Neuronpedia names features by it"
        )
    about = {"model_id": model_name(dictionary) or "unknown", "layer": layer, "sae_set": place.resolve().name}
    alive = (feature for feature in range(cards.n_features) if cards.counts[feature])
    files: list[str] = []
    with new_folder(target) as unfinished:
        while batch := [_feature(dictionary, cards, cards.card(number)) for number in islice(alive, PER_FILE)]:
            files.append(f"batch-{len(files)}.json")
            write_text(
                unfinished / files[-1], json.dumps(about | {"features": batch}, ensure_ascii=False, allow_nan=False)
            )
        if has_labels(place):
            files.append(EXPLANATIONS)
            write_text(unfinished / EXPLANATIONS, _explanations(open_labels(place), about))
    return Exported(target, NAME, tuple(files), tuple(_remarks(cards)))


def _explanations(labels: Labels, about: dict[str, Any]) -> str:
    """Return the labels that say something, a line each, with such scores as may be shown."""
    rows = [
        {
            "modelId": about["model_id"],
            "layer": f"{about['layer']}-{about['sae_set']}",
            "index": str(one.feature),
            "description": one.text,
            "typeName": "glassbook_rules",
            "explanationModelName": None,
            "scores": [
                {"type": way, "value": score.estimate, "scorer": labels.scorer.name}
                for way in ("detection", "fuzzing")
                if (score := labels.score(one.feature, way)) is not None
            ],
        }
        for one in labels
        if one.rule is not None
    ]
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def _remarks(cards: Cards) -> list[str]:
    """Return what stays behind."""
    dead = int((cards.counts == 0).sum())
    found = ["correlated neurons and features and histograms of all logits are not among the cards and stay empty"]
    if dead:
        found.append(f"{dead:,} features that were never active have no file entry")
    return found


def _feature(dictionary: Dictionary, cards: Cards, card: Card) -> dict[str, Any]:
    """Return one feature as Neuronpedia has it."""
    direction = dictionary.decoder[card.feature].detach().float()
    aligned = direction.topk(min(_ALIGNED, len(direction)))
    shares = aligned.values.abs() / direction.abs().sum().clamp(min=torch.finfo(torch.float32).tiny)
    edges = card.histogram.edges
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    harvest, corpus = cards.facts.get("harvest") or {}, cards.facts.get("corpus") or {}
    return {
        "feature_index": card.feature,
        "neuron_alignment_indices": aligned.indices.tolist(),
        "neuron_alignment_values": _rounded(aligned.values.tolist()),
        "neuron_alignment_l1": _rounded(shares.tolist()),
        "correlated_neurons_indices": [],
        "correlated_neurons_l1": [],
        "correlated_neurons_pearson": [],
        "correlated_features_indices": [],
        "correlated_features_l1": [],
        "correlated_features_pearson": [],
        "neg_str": [token for token, _ in card.logits_down],
        "neg_values": _rounded([value for _, value in card.logits_down]),
        "pos_str": [token for token, _ in card.logits_up],
        "pos_values": _rounded([value for _, value in card.logits_up]),
        "frac_nonzero": card.density,
        "freq_hist_data_bar_values": _rounded(middles),
        "freq_hist_data_bar_heights": [float(count) for count in card.histogram.counts],
        "logits_hist_data_bar_heights": [],
        "logits_hist_data_bar_values": [],
        "n_prompts_total": cards.facts.get("contexts", 0),
        "n_tokens_in_prompt": harvest.get("context", 0),
        "dataset": corpus.get("name", ""),
        "activations": list(_activations(cards, card)),
        "decoder_weights_dist": [],
        "vector": direction.tolist(),
    }


def _activations(cards: Cards, card: Card) -> Iterator[dict[str, Any]]:
    """Yield the examples, the top ones first."""
    for example in card.examples:
        yield {
            **(_interval(card, example.interval) if example.interval else _TOP),
            "tokens": cards.token_strings(example.tokens),
            "values": _rounded(example.activations),
            "qualifying_token_index": example.peak,
        }


def _interval(card: Card, interval: int) -> dict[str, float]:
    """Return from where to where an interval goes, counted from the highest, and which share of the active tokens it has."""
    per_interval = BINS // INTERVALS
    width = card.histogram.edges[1] * per_interval
    number = max((len(card.histogram.counts) - 1) // per_interval - (interval - 1), 0)
    within = card.histogram.counts[number * per_interval : (number + 1) * per_interval]
    ends = {"bin_min": number * width, "bin_max": min((number + 1) * width, card.max_activation)}
    share = sum(within) / max(sum(card.histogram.counts), 1)
    return {name: round(value, _DECIMALS) for name, value in (ends | {"bin_contains": share}).items()}


def _rounded(values: Any) -> list[float]:
    return [round(value, _DECIMALS) for value in values]
