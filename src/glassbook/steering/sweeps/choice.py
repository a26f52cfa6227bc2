"""The choice of a cell, the same for the vector and each of its controls, and what is then seen on the other half."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from glassbook.core.errors import InputError
from glassbook.stats import bootstrap, frontier, rank_among
from glassbook.steering.fluency import TextCost
from glassbook.steering.sweeps.effects import Measure, Scores
from glassbook.steering.sweeps.grid import FLIPPED, VECTOR, Bench, Half, Place, shifts
from glassbook.steering.sweeps.result import Cell, Chosen, Outcome

Grid = Mapping[str, Mapping[Place, Scores]]
Price = Callable[[Place], TextCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stage 1 comes to."""

    grid: tuple[Cell, ...]
    flipped_grid: tuple[Cell, ...]
    frontier: tuple[Cell, ...]
    chosen: Chosen
    unbounded: Chosen
    unsteered: tuple[float, ...]
    prompted: tuple[float, ...] | None


def find(bench: Bench, halves: tuple[Half, Half], budget: float, prompted: Measure | None) -> Found:
    """Return the grid, and the choice under the budget and without one; `prompted` measures an instruction alone.

    Raises InputError where every cell of the vector failed.
    """
    first, second = halves
    before, after = bench.unsteered(first), bench.unsteered(second)
    grid = bench.grid(first)
    cells, flipped = (cells_of(bench, first, grid, before, name) for name in (VECTOR, FLIPPED))
    chosen = chosen_by(bench, halves, grid, budget, "the choice, on the other half")
    unbounded = chosen_by(bench, halves, grid, math.inf, "the choice without a budget")
    if chosen is None or unbounded is None:
        why = before.failure or next(cell.failure for cell in cells if cell.failure)
        raise InputError(f"every cell of the grid failed, so there is nothing to choose from: {why}")
    told = bench.told(second, prompted)
    return Found(
        grid=cells,
        flipped_grid=flipped,
        frontier=frontier_of(cells),
        chosen=chosen,
        unbounded=unbounded,
        unsteered=after.values,
        prompted=None if told is None or not after.values else shifts(told, after) or None,
    )


def choose(effects: Mapping[Place, float], price: Price, budget: float) -> tuple[Place, bool]:
    """Return the cell of the largest effect whose perplexity ratio is within the budget, and whether there is one.

    Where no cell is, the cheapest is returned. Cells are priced from the largest effect down, and no further than needed.
    """
    ranked = sorted(effects, key=lambda place: -effects[place])
    for place in ranked:
        if price(place).perplexity_ratio <= budget:
            return place, True
    return min(ranked, key=lambda place: _ratio(price(place))), False


def cells_of(bench: Bench, half: Half, grid: Grid, unsteered: Scores, name: str) -> tuple[Cell, ...]:
    """Return every cell of a direction's grid with its cost."""
    return tuple(
        _cell(place, scores, unsteered, bench.cost(half, name, place)) for place, scores in sorted(grid[name].items())
    )


def frontier_of(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return the cells that no other dominates in effect and cost, from the cheapest on."""
    known = [cell for cell in cells if cell.effect is not None and cell.perplexity_ratio is not None]
    return tuple(known[i] for i in frontier([(cell.effect, cell.perplexity_ratio) for cell in known]))


def chosen_by(bench: Bench, halves: tuple[Half, Half], grid: Grid, budget: float, what: str) -> Chosen | None:
    """Return what the choice under a budget comes to on the second half, for the vector and all of its controls.

    The first half is all that the choice sees. None where every cell of the vector failed.
    """
    first, second = halves
    before, after = bench.unsteered(first), bench.unsteered(second)
    picked = {name: _picked(bench, first, grid[name], before, name, budget) for name in bench.directions.names}
    ours = picked[VECTOR]
    if ours is None:
        return None
    wanted = [(name, choice) for name, choice in picked.items() if choice is not None]
    outcomes: dict[str, Outcome] = {}
    for number, (name, (cell, within)) in enumerate(sorted(wanted, key=lambda one: one[1][0].layer), start=1):
        outcomes[name] = _outcome(bench, second, name, cell, within, after)
        bench.tell(what, number, len(wanted))
    here = grid[FLIPPED][ours[0].layer, ours[0].strength]
    place = (ours[0].layer, ours[0].strength)
    flipped_cell = _cell(place, here, before, bench.cost(first, FLIPPED, place))
    flipped_here = _outcome(bench, second, FLIPPED, flipped_cell, _ratio_of(flipped_cell) <= budget, after)
    randoms = tuple(outcomes[name] for name in bench.directions.randoms if name in outcomes)
    vector, effects = outcomes[VECTOR], [one.effect for one in randoms if one.effect is not None]
    is_known = vector.effect is not None
    return Chosen(
        budget=budget,
        vector=vector,
        flipped=outcomes.get(FLIPPED, flipped_here),
        flipped_here=flipped_here,
        randoms=randoms,
        interval=bootstrap(vector.shifts, seed=bench.directions.seed) if is_known else None,
        rank=rank_among(vector.effect, effects) if vector.effect is not None and effects else None,
    )


def _picked(
    bench: Bench, half: Half, scores: Mapping[Place, Scores], unsteered: Scores, name: str, budget: float
) -> tuple[Cell, bool] | None:
    """Return the cell that the choice falls on for one direction, or None where all of its cells failed."""
    effects = {place: _mean(shifts(one, unsteered)) for place, one in scores.items() if one.values}
    if not effects or not unsteered.values:
        return None
    place, within = choose(effects, lambda place: bench.cost(half, name, place), budget)
    return _cell(place, scores[place], unsteered, bench.cost(half, name, place)), within


def _outcome(bench: Bench, half: Half, name: str, cell: Cell, within: bool, unsteered: Scores) -> Outcome:
    place = (cell.layer, cell.strength)
    scores, cost = bench.scores(half, name, place), bench.cost(half, name, place)
    return Outcome(
        name=name,
        cell=cell,
        within_budget=within,
        shifts=shifts(scores, unsteered) if unsteered.values else (),
        perplexity_ratio=cost.perplexity_ratio,
        kl=cost.kl,
        failure=scores.failure or unsteered.failure,
    )


def _cell(place: Place, scores: Scores, unsteered: Scores, cost: TextCost) -> Cell:
    moved = shifts(scores, unsteered) if unsteered.values else ()
    return Cell(
        layer=place[0],
        strength=place[1],
        effect=_mean(moved) if moved else None,
        perplexity_ratio=cost.perplexity_ratio,
        kl=cost.kl,
        failure=scores.failure,
    )


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _ratio(cost: TextCost) -> float:
    """Return a ratio that can be ordered: what is not a number costs everything."""
    return cost.perplexity_ratio if cost.perplexity_ratio == cost.perplexity_ratio else float("inf")


def _ratio_of(cell: Cell) -> float:
    return float("inf") if cell.perplexity_ratio is None else cell.perplexity_ratio
