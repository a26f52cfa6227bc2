"""Feature files are as the package that makes Neuronpedia's reads them, and their intervals those of the examples."""

import json
from dataclasses import replace

import numpy as np

from features.cards.cards_samples import a_card
from features.formats.samples import GOLDEN
from glassbook.features.cards import Histogram
from glassbook.features.cards.activity import INTERVALS, Activity
from glassbook.features.formats.neuronpedia import _interval


def test_every_value_lies_in_the_interval_that_its_example_is_filed_under_and_the_shares_are_a_whole():
    draw = np.random.default_rng(0)
    for largest in (7.9, 1.0, 0.3):
        values = (draw.random(500) * largest).astype(np.float32)
        activity = Activity(1)
        features = np.zeros(len(values), np.int64)
        activity.add(features, values)
        card = replace(a_card(0), histogram=activity.histogram(0), max_activation=float(values.max()))
        parts = activity.interval(features, values)
        shares = 0.0
        for interval in range(1, int(parts.max()) + 2):
            found = _interval(card, interval)
            within = values[parts == parts.max() - (interval - 1)]
            assert (within >= found["bin_min"] - 1e-3).all() and (within <= found["bin_max"] + 1e-3).all()
            assert abs(found["bin_contains"] - len(within) / len(values)) < 1e-3
            shares += found["bin_contains"]
        assert abs(shares - 1) < INTERVALS * 1e-3


def test_control_the_interval_above_does_not_hold_the_values():
    card = replace(a_card(0), histogram=Histogram(tuple(i * 0.25 for i in range(33)), (1,) * 32), max_activation=7.9)
    assert _interval(card, 1)["bin_min"] == 7 and _interval(card, 8)["bin_max"] == 1
    assert _interval(card, 1)["bin_min"] > _interval(card, 2)["bin_min"]


def test_the_package_that_makes_neuronpedias_files_reads_ours_field_by_field():
    ours = json.loads((GOLDEN / "ours" / "neuronpedia" / "batch-0.json").read_text())
    read = json.loads((GOLDEN.parent / "dictionaries_neuronpedia.json").read_text())["read"]
    assert {key: read[key] for key in ours} == ours and read.keys() - ours.keys() <= {"sae_id_suffix"}
    assert ours["features"] and all(feature["activations"] for feature in ours["features"])
