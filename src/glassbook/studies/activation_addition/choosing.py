"""One rule for every direction: of the cells that leave off-topic text alone, the one that helps on-topic text most."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from glassbook.steering.vector_set import Vectors
from glassbook.studies.activation_addition.bench import Bench, Choice, Place, steps
from glassbook.studies.activation_addition.ratios import Logs, pooled
from glassbook.studies.activation_addition.settings import BUDGET
from glassbook.studies.activation_addition.texts import OFF_TOPIC, ON_TOPIC

Make = Callable[[int, float], Sequence[Vectors]]
"""Layer and strength -> the same directions, in the same order, at that place."""


def choose_all(bench: Bench, layers: Sequence[int], strengths: Sequence[float], make: Make) -> list[Choice]:
    """Return the choice of each direction on the choosing half, all of them over the same grid, layer by layer upward."""
    found: list[dict[Place, tuple[float, float]]] = []
    for layer in steps(bench.cell, sorted(layers), "choosing a layer and strength"):
        at_layer = [make(layer, strength) for strength in strengths]
        logs = bench.choosing.log_ratios([steer for steers in at_layer for steer in steers])
        n = len(at_layer[0])
        found = found or [{} for _ in range(n)]
        for number, one in enumerate(logs):
            means = pooled(one)
            found[number % n][layer, strengths[number // n]] = (means[ON_TOPIC], means[OFF_TOPIC])
    return [choice_of(grid) for grid in found]


def choice_of(grid: Mapping[Place, tuple[float, float]], budget: float = BUDGET) -> Choice:
    """Return the cell with the lowest on-topic ratio among those whose off-topic ratio is within the budget either way.

    Where there is none, it is the cell that moves off-topic text least.
    """
    within = [place for place, (_, off) in grid.items() if abs(off) <= math.log(budget)]
    if within:
        layer, strength = min(within, key=lambda place: grid[place][0])
    else:
        layer, strength = min(grid, key=lambda place: abs(grid[place][1]))
    return Choice(layer, strength, [(*place, *logs) for place, logs in sorted(grid.items())])


def told_of(bench: Bench, steers: Sequence[Vectors], choices: Sequence[Choice]) -> list[Logs]:
    """Return what each direction does on the told half in its own cell; they are read from the lowest layer up."""
    order = np.argsort([choice.layer for choice in choices], kind="stable")
    found: dict[int, Logs] = {}
    for layer in sorted({choice.layer for choice in choices}):
        mine = [int(i) for i in order if choices[i].layer == layer]
        found |= zip(mine, bench.told.log_ratios([steers[i] for i in mine]), strict=True)
    return [found[i] for i in range(len(choices))]
