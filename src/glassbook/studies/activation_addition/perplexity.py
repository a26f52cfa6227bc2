"""The arms of the perplexity-ratio protocol: the published cell, prompting, all layers, the choice and its controls, the dose."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from glassbook.steering.vectors import SteeringVector
from glassbook.studies.activation_addition.bench import (
    TOPIC,
    Bench,
    Choice,
    Columns,
    keep_choice,
    named,
    read_choice,
    steps,
)
from glassbook.studies.activation_addition.choosing import choose_all, told_of
from glassbook.studies.activation_addition.ratios import Logs, pooled
from glassbook.studies.activation_addition.settings import PUBLISHED_STRENGTH
from glassbook.studies.activation_addition.texts import OFF_TOPIC, ON_TOPIC
from glassbook.studies.contract import Cell

INSTRUCTION, OTHER_INSTRUCTION = "Write about weddings. ", "Write about shipping. "
ON_BAR, OFF_BARS = 0.95, (0.98, 1.02)


def measure_published(cell: Cell) -> Columns:
    """Return the published cell on all sentences: of the four texts, and of the two essays the flipped sign and random ones."""
    bench = Bench.of(cell)
    vector = PUBLISHED_STRENGTH * bench.vector(bench.published_layer)
    (ours,) = bench.whole.log_ratios([vector])
    flipped, *randoms = bench.essays.log_ratios([-vector, *bench.randoms(vector, bench.settings.n_random_published)])
    columns = named("all", ours) | named("all", flipped, "_flipped") | named("all", _mean(randoms), "_random")
    return bench.finish(columns)


def measure_prompting(cell: Cell) -> Columns:
    """Return what the same token does as a prompt: on all sentences of the four texts, and on the told half."""
    bench = Bench.of(cell)
    whole, told = bench.whole.log_ratios_behind(TOPIC), bench.told.log_ratios_behind(TOPIC)
    return bench.finish(named("all", whole) | named("told", told))


def measure_instruction(cell: Cell) -> Columns:
    """Return what a plain instruction does on the told half, and (`_other`) one about the other topic."""
    bench = Bench.of(cell)
    told = named("told", bench.told.log_ratios_behind(INSTRUCTION))
    return bench.finish(told | named("told", bench.told.log_ratios_behind(OTHER_INSTRUCTION), "_other"))


def measure_layers(cell: Cell) -> Columns:
    """Return the ratios of the told half with the vector at each layer at coefficient 1, and with a random one of its norm.

    At layer 0 the vector is the same token as a prompt; whether that alone would fit the band is `band_prompt`.
    """
    bench = Bench.of(cell)
    layers = list(range(0, bench.model.config.n_layers, bench.settings.layer_step))
    vectors = bench.vectors(layers)
    curves: dict[str, list[dict[str, float]]] = {"": [], "_random": []}
    for layer in steps(cell, layers, "every layer"):
        vector = vectors[f"L{layer}.resid_pre"]
        logs = bench.told.log_ratios([vector, *bench.randoms(vector, 1)])
        for curve, one in zip(curves.values(), logs, strict=True):
            curve.append(pooled(one))
    columns: dict[str, object] = {"layer": layers}
    for suffix, curve in curves.items():
        on, off = ([one[text] for one in curve] for text in (ON_TOPIC, OFF_TOPIC))
        columns |= {f"wedding{suffix}": on, f"shipping{suffix}": off}
        columns[f"band{suffix}"] = band(on, off, bench.settings.layer_step)
    first = pooled(bench.told.log_ratios_behind(TOPIC))
    return bench.finish(columns | {"band_prompt": band([first[ON_TOPIC]], [first[OFF_TOPIC]], 1)})


def band(on: Sequence[float], off: Sequence[float], step: int) -> int:
    """Return how many layers the longest stretch spans that helps on-topic text past the bar and leaves the other alone.

    The logarithms are of layers `step` apart: those between two that fit are counted with them.
    """
    longest = run = 0
    for helped, moved in zip(on, off, strict=True):
        fits = helped <= math.log(ON_BAR) and math.log(OFF_BARS[0]) <= moved <= math.log(OFF_BARS[1])
        run = run + 1 if fits else 0
        longest = max(longest, run)
    return (longest - 1) * step + 1 if longest else 0


def measure_actadd(cell: Cell) -> Columns:
    """Return the vector on the told half in the cell that it chose on the other, the cell, and the grid it chose from."""
    bench = Bench.of(cell)
    choices = _chosen(bench, _itself)
    keep_choice(cell.folder, choices[0])
    (told,) = _told(bench, _itself, choices)
    return bench.finish(named("told", told) | grid_columns(choices[0]) | on_minus_off(told))


def measure_flipped(cell: Cell) -> Columns:
    """Return the flipped sign: in the vector's own cell, and (`_own`) in the cell that it chooses itself."""
    bench = Bench.of(cell)
    (here,) = _told(bench, _flipped, [read_choice(cell.other("actadd"))])
    choices = _chosen(bench, _flipped)
    (own,) = _told(bench, _flipped, choices)
    return bench.finish(named("told", here) | named("told", own, "_own") | on_minus_off(own))


def measure_random(cell: Cell) -> Columns:
    """Return random directions of the same norm, each on the told half in the cell that it chose on the other.

    `told_<text>` is the mean over directions, sentence by sentence; the other columns hold one number a direction.
    """
    bench = Bench.of(cell)

    def randoms(vector: SteeringVector) -> Sequence[SteeringVector]:
        return bench.randoms(vector, bench.settings.n_random)

    told = _told(bench, randoms, _chosen(bench, randoms))
    means = [pooled(one) for one in told]
    on, off = (np.array([one[text] for one in means]) for text in (ON_TOPIC, OFF_TOPIC))
    directions = {"wedding_each": on, "shipping_each": off, "on_minus_off": on - off}
    return bench.finish(named("told", _mean(told)) | directions)


def measure_dose(cell: Cell) -> Columns:
    """Return the dose-response at the chosen layer: the best dose c* by the choosing half, and all else on the told half."""
    bench = Bench.of(cell)
    doses = np.array(bench.settings.doses)
    vector = bench.vector(read_choice(cell.other("actadd")).layer)
    tried = [pooled(one)[ON_TOPIC] for one in bench.choosing.log_ratios([dose * vector for dose in doses])]
    best = int(np.argmin(tried))
    told = bench.told.log_ratios([dose * vector for dose in doses])
    on, off = (np.array([pooled(one)[text] for one in told]) for text in (ON_TOPIC, OFF_TOPIC))
    randoms = []
    for random in bench.randoms(vector, bench.settings.n_random_dose):
        up_to = [pooled(one)[ON_TOPIC] for one in bench.told.log_ratios([dose * random for dose in doses[: best + 1]])]
        randoms.append(rise(doses[: best + 1], np.array(up_to)))
    columns: dict[str, object] = {"dose": doses, "wedding": on, "shipping": off, "best_dose": doses[best]}
    columns |= {"rise": rise(doses[: best + 1], on[: best + 1]), "rise_random": float(np.mean(randoms))}
    columns |= {"rise_beyond": rise(doses[best:], on[best:]) if best + 1 < len(doses) else 0.0}
    columns |= {"shipping_at_best": told[best][OFF_TOPIC], "shipping_at_most": told[-1][OFF_TOPIC]}
    return bench.finish(columns | {"shipping_at_least": told[0][OFF_TOPIC]})


def rise(doses: NDArray[np.float64], logs: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation of dose with the fall in perplexity, from dose 0 on: 1 where each step helps more."""
    with_none = np.concatenate([[0.0], -logs])
    ranks = np.argsort(np.argsort(with_none, kind="stable"), kind="stable").astype(np.float64)
    if len(doses) < 1 or np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1])


Directions = Callable[[SteeringVector], Sequence[SteeringVector]]
"""The vector at a layer -> the directions that stand in its place there, always in the same order."""


def _chosen(bench: Bench, directions: Directions) -> list[Choice]:
    """Return the choice of every direction over the grid of layers and strengths."""
    settings, vectors = bench.settings, bench.vectors(bench.settings.layers)

    def make(layer: int, strength: float) -> list[SteeringVector]:
        return [strength * one for one in directions(vectors[f"L{layer}.resid_pre"])]

    return choose_all(bench, settings.layers, settings.strengths, make)


def _told(bench: Bench, directions: Directions, choices: Sequence[Choice]) -> list[Logs]:
    """Return what every direction does on the told half in its own cell."""
    steers = [choice.strength * directions(bench.vector(choice.layer))[number] for number, choice in enumerate(choices)]
    return told_of(bench, steers, choices)


def on_minus_off(logs: Logs) -> dict[str, object]:
    """Return how much more a direction does to the text it is about than to the other, as a column of one number."""
    means = pooled(logs)
    return {"on_minus_off": means[ON_TOPIC] - means[OFF_TOPIC]}


def grid_columns(choice: Choice, suffix: str = "") -> dict[str, object]:
    """Return a choice as columns: the cell, and what each cell of the grid did on the choosing half."""
    grid = np.array(choice.grid).T
    names = ("grid_layer", "grid_strength", "grid_wedding", "grid_shipping")
    columns: dict[str, object] = {f"{name}{suffix}": row for name, row in zip(names, grid, strict=True)}
    return columns | {f"layer{suffix}": choice.layer, f"strength{suffix}": choice.strength}


def _itself(vector: SteeringVector) -> Sequence[SteeringVector]:
    return [vector]


def _flipped(vector: SteeringVector) -> Sequence[SteeringVector]:
    return [-vector]


def _mean(logs: Sequence[Logs]) -> Logs:
    return {name: np.mean([one[name] for one in logs], axis=0) for name in logs[0]}
