"""The published cell as it was: GPT-2-XL, layer 16, coefficient 1, on the wedding and the shipping essay."""

import numpy as np

from glassbook.steering.controls import random_like
from glassbook.steering.recipes import actadd, padded_pair
from glassbook.studies.activation_addition.bench import (
    NOTHING,
    PUBLISHED_LAYER,
    TOPIC,
    Columns,
    note_cost,
    note_sources,
)
from glassbook.studies.activation_addition.opening import opened
from glassbook.studies.activation_addition.ratios import SentenceGauge, pooled
from glassbook.studies.activation_addition.settings import Settings, layer_at
from glassbook.studies.activation_addition.texts import OFF_TOPIC, ON_TOPIC, sentences
from glassbook.studies.contract import Cell

OTHER_TOKEN = " shipping"


def measure_exact(cell: Cell) -> Columns:
    """Return the four published ratios and their controls, one number each; nothing in them is drawn but the random vector."""
    settings: Settings = cell.settings
    model = opened(settings.weights, settings.dtype, cell.device)
    note_sources(cell, model)
    texts = {
        name: [model.read(one, prepend_bos=False).row(0) for one in sentences(name)] for name in (ON_TOPIC, OFF_TOPIC)
    }
    texts = {name: [row for row in rows if len(row) > 1] for name, rows in texts.items()}
    gauge = SentenceGauge(model, texts, front=len(padded_pair(model, TOPIC, NOTHING)[0]))
    layer = layer_at(PUBLISHED_LAYER, model.config.n_layers)
    vector = actadd(model, TOPIC, NOTHING, f"L{layer}.resid_pre")
    steered, random = gauge.log_ratios([vector, random_like(vector, cell.seed, 0)])
    measured = {
        "actadd": steered,
        "random": random,
        "prompt": gauge.log_ratios_behind(TOPIC),
        "other_prompt": gauge.log_ratios_behind(OTHER_TOKEN),
    }
    columns = {}
    for who, logs in measured.items():
        for text, value in pooled(logs).items():
            columns[f"{text}_{who}"] = np.array([np.exp(value)])
    note_cost(cell, model, gauge.n_read)
    return columns
