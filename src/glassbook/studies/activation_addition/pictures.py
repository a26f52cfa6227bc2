"""The pictures of the study's page, drawn from its items alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassbook.stats.frontier import frontier
from glassbook.studies.contract import Items, Picture
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.frontier import Frontier, Point
from glassbook.views.line_chart import LineChart, Series, Threshold

Rows = list[NDArray[Any]]
VARIANTS = {
    "actadd_everywhere": "ActAdd's vector at all tokens",
    "mean_difference": "mean difference at all tokens (CAA)",
    "mean_centered": "mean-centered at all tokens",
    "pca": "PCA at all tokens",
    "ablation": "ablation",
}
_SEEDS = "lowest and highest of the seeds"
_EVEN = Threshold(name="no change", y=1.0)


def all_pictures(items: Mapping[int, Items]) -> dict[str, Picture]:
    """Return every picture whose arms have been measured, by name."""
    measured = set.intersection(*(set(arms) for arms in items.values())) if items else set()
    found: dict[str, Picture] = {}
    if "layers" in measured:
        found["layers"] = _layers(items)
    if "dose" in measured:
        found["dose"] = _dose(items)
    if {"actadd", "flipped", "random", "instruction"} <= measured:
        found["controls"] = _controls(items)
    if {"actadd", "random", "prompting", "instruction", "variants"} <= measured:
        found["frontier"] = _frontier(items)
    return found


def _columns(items: Mapping[int, Items], arm: str, column: str) -> Rows:
    return [np.asarray(items[seed][arm][column]) for seed in sorted(items)]


def _curve(name: str, x: Sequence[float], rows: Rows) -> Series:
    """Return the mean over seeds of logarithms as ratios, with the seeds' range as a band."""
    table = np.stack(rows)
    mean, low, high = (np.exp(one) for one in (table.mean(0), table.min(0), table.max(0)))
    return Series(name=name, x=list(x), y=mean.tolist(), low=low.tolist(), high=high.tolist())


def _layers(items: Mapping[int, Items]) -> LineChart:
    layers = _columns(items, "layers", "layer")[0].tolist()
    series = [
        _curve("wedding essay", layers, _columns(items, "layers", "wedding")),
        _curve("shipping essay", layers, _columns(items, "layers", "shipping")),
        _curve("wedding essay, random vector", layers, _columns(items, "layers", "wedding_random")),
    ]
    return LineChart(
        title="Perplexity ratio by layer",
        caption="The weddings vector added at one layer, coefficient 1; below 1, the text became more probable. Told half.",
        series=series,
        x_label="layer",
        y_label="perplexity ratio",
        band_name=_SEEDS,
        thresholds=[_EVEN],
    )


def _dose(items: Mapping[int, Items]) -> LineChart:
    doses = _columns(items, "dose", "dose")[0].tolist()
    series = [
        _curve("wedding essay", doses, _columns(items, "dose", "wedding")),
        _curve("shipping essay", doses, _columns(items, "dose", "shipping")),
    ]
    best = float(np.mean([row.mean() for row in _columns(items, "dose", "best_dose")]))
    return LineChart(
        title="Perplexity ratio by dose",
        caption="The weddings vector at its chosen layer, more and more of it; c* was found on the other half. Told half.",
        series=series,
        x_label="coefficient",
        y_label="perplexity ratio",
        band_name=_SEEDS,
        x_log=True,
        y_log=True,
        thresholds=[_EVEN, Threshold(name="c*", x=best)],
    )


def _gain(items: Mapping[int, Items], arm: str, column: str = "told_wedding") -> float:
    """Return how much more probable the wedding essay became, in nats a token."""
    return -float(np.mean([row.mean() for row in _columns(items, arm, column)]))


def _price(items: Mapping[int, Items], arm: str, column: str = "told_shipping") -> float:
    """Return the perplexity ratio of the shipping essay."""
    return float(np.exp(np.mean([row.mean() for row in _columns(items, arm, column)])))


def _controls(items: Mapping[int, Items]) -> ControlDistribution:
    randoms = np.concatenate([-row for row in _columns(items, "random", "wedding_each")])
    return ControlDistribution(
        title="The weddings vector beside its controls",
        caption="Each random direction went through the same choice as ours, on the same half of the sentences, at every seed.",
        effect="log-probability of the wedding essay",
        unit="nats a token",
        unsteered=0.0,
        steered=_gain(items, "actadd"),
        flipped=_gain(items, "flipped"),
        prompt_only=_gain(items, "instruction"),
        randoms=randoms.tolist(),
        n_items=len(_columns(items, "actadd", "told_wedding")[0]),
    )


def _frontier(items: Mapping[int, Items]) -> Frontier:
    points = [Point(name="ActAdd, front only", effect=_gain(items, "actadd"), cost=_price(items, "actadd"))]
    for name, says in VARIANTS.items():
        effect = _gain(items, "variants", f"told_wedding_{name}")
        points.append(Point(name=says, effect=effect, cost=_price(items, "variants", f"told_shipping_{name}")))
    points.append(
        Point(name="the token as a prompt", effect=_gain(items, "prompting"), cost=_price(items, "prompting"))
    )
    # What helps the other text too is no price; a cost is what it loses.
    table = [(point.effect, max(1.0, float(point.cost))) for point in points]  # type: ignore[arg-type]
    on, off = (np.concatenate(_columns(items, "random", column)) for column in ("wedding_each", "shipping_each"))
    randoms = [
        Point(name=f"random {i}", effect=-float(a), cost=float(np.exp(b)))
        for i, (a, b) in enumerate(zip(on, off, strict=True))
    ]
    instruction = Point(
        name="“Write about weddings.”", effect=_gain(items, "instruction"), cost=_price(items, "instruction")
    )
    return Frontier(
        title="What each way of steering buys, and its price",
        caption="Every variant in the cell that it chose on one half of the sentences, measured on the other; means over seeds.",
        points=points,
        frontier=frontier(table),
        effect="log-probability of the wedding essay",
        unit="nats a token",
        cost="perplexity ratio of the shipping essay",
        chosen=0,
        prompting=instruction,
        randoms=randoms,
    )
