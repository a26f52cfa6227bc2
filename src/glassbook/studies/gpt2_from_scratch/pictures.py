"""The pictures of the study's page, from the columns alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.studies.contract import Items
from glassbook.views.line_chart import LineChart, Series, Threshold
from glassbook.views.table import Table

_PUBLISHED = 1.88
_CURVES = {
    "small": ("sizes", "small_", "1 layer, 32 wide"),
    "medium": ("sizes", "medium_", "2 layers, 64 wide"),
    "large": ("character", "", "4 layers, 128 wide"),
}
_TUNINGS = {
    "tuned": "pre-trained",
    "tuned-from-random": "random weights",
    "tuned-from-scrambled": "pre-trained numbers in random order",
}
# What is shown of parity: the parts in the order of building.
PARTS = {
    "layer_norm": "LayerNorm",
    "embed": "Embed",
    "pos_embed": "PosEmbed",
    "attention": "Attention",
    "mlp": "MLP",
    "block": "Block",
    "unembed": "Unembed",
    "logits": "the whole network",
    "logits_float64": "the whole network, in float64",
    "smallest_fault": "the restatement with one detail wrong",
}
_SPLIT_BITS = {
    "uniform": "every character alike",
    "unigram": "by frequency",
    "bigram": "by the character before",
}


def all_pictures(items: Mapping[int, Items]) -> dict[str, Any]:
    """Return every picture whose arms were measured."""
    drawn = {
        "parity": _parity(items),
        "sizes": _sizes(items),
        "bits": _bits(items),
        "writer": _curve(
            items, {"pretrained": "the writer"}, "Learning to foretell books", "held-out loss (nats a token)"
        ),
        "tuning": _curve(items, _TUNINGS, "Tuning to instructions", "loss on responses (nats a token)"),
    }
    return {name: view for name, view in drawn.items() if view is not None}


def _column(items: Mapping[int, Items], arm: str, column: str) -> NDArray[np.float64] | None:
    """Return [seed, item] of one column where every seed has it, else None."""
    rows = [one[arm][column] for one in items.values() if arm in one and column in one[arm]]
    return np.stack(rows).astype(np.float64) if rows and len(rows) == len(items) else None


def _parity(items: Mapping[int, Items]) -> Table | None:
    found = {label: _column(items, "parity", name) for name, label in PARTS.items()}
    if any(values is None for values in found.values()):
        return None
    return Table(
        title="Part by part beside the restatement",
        caption="The largest difference over all draws of weights and inputs, our network in float32, the restatement in "
        "float64. The last row is what the comparison sees when a detail is wrong: the smallest difference of any draw.",
        columns=("part", "difference"),
        rows=[
            (label, float(values.min() if label == PARTS["smallest_fault"] else values.max()))
            for label, values in found.items()
            if values is not None
        ],
    )


def _series(label: str, steps: NDArray[np.float64], values: NDArray[np.float64]) -> Series:
    """Return the mean over seeds, with the range of the seeds as its band."""
    return Series(
        name=label, x=_short(steps[0]), y=_short(values.mean(0)), low=_short(values.min(0)), high=_short(values.max(0))
    )


def _short(values: NDArray[np.float64]) -> Sequence[float]:
    return [round(float(value), 4) for value in values]


def _sizes(items: Mapping[int, Items]) -> LineChart | None:
    drawn = []
    for arm, prefix, label in _CURVES.values():
        steps, values = (_column(items, arm, f"{prefix}curve_{what}") for what in ("step", "val"))
        if steps is not None and values is not None:
            drawn.append(_series(label, steps, values))
    if not drawn:
        return None
    return LineChart(
        title="Three sizes on the same characters",
        caption="Loss on 240 windows of the validation text; lower is better. Mean over seeds.",
        series=drawn,
        x_label="steps of 768 characters",
        y_label="nats a character",
        band_name="range of the seeds",
        thresholds=[Threshold(name="published", y=_PUBLISHED)],
    )


def _curve(items: Mapping[int, Items], arms: Mapping[str, str], title: str, y_label: str) -> LineChart | None:
    drawn = []
    for arm, label in arms.items():
        steps, values = _column(items, arm, "curve_step"), _column(items, arm, "curve_val")
        if steps is not None and values is not None:
            drawn.append(_series(label, steps, values))
    if not drawn:
        return None
    return LineChart(
        title=title, caption="Mean over seeds; lower is better.", series=drawn, x_label="steps", y_label=y_label,
        band_name="range of the seeds",
    )  # fmt: skip


def _bits(items: Mapping[int, Items]) -> Table | None:
    rows: list[tuple[str, float]] = []
    for column, label in _SPLIT_BITS.items():
        nats = _column(items, "guessing", column)
        if nats is not None:
            rows.append((label, float(nats.mean() / np.log(2))))
    for column, label in (("gzip", "gzip"), ("xz", "xz"), ("xz_after_train", "xz that has read the training text")):
        bits = _column(items, "guessing", f"{column}_bits_per_byte")
        if bits is not None:
            rows.append((label, float(bits.mean())))
    ours = _column(items, "character", "bits_per_byte")
    if ours is not None:
        rows.append(("the network", float(ours.mean())))
    if not rows:
        return None
    return Table(
        title="Bits a byte of the validation text",
        caption="What each guesser needs to tell the text; lower is better. Mean over seeds.",
        columns=("guesser", "bits a byte"),
        rows=rows,
    )
