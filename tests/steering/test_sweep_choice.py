"""The choice is honest: the reported half is not the one chosen on, and controls go through the same choice."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.sites import Site
from glassbook.stats import Interval, bootstrap, rank_among
from glassbook.steering.fluency import TextCost, TextGauge
from glassbook.steering.sweep import sweep
from glassbook.steering.sweeps import choice
from glassbook.steering.sweeps.choice import choose, chosen_by
from glassbook.steering.sweeps.effects import Measure, Scores
from glassbook.steering.sweeps.grid import VECTOR, Bench, Directions, Half, Place
from glassbook.steering.sweeps.journal import Journal
from glassbook.steering.sweeps.result import Cell, Chosen, Outcome
from glassbook.steering.sweeps.words import judge, say_sweep
from glassbook.steering.vectors import SteeringVector
from steering.planted import along, planted_model, quick

N_ITEMS = 8
numbers = st.floats(-10, 10, allow_nan=False)


class Noise(Measure):
    """An effect in which every direction does nothing but chance at every cell, alike on each asking."""

    unit = ""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def scores(self, steers: Sequence[SteeringVector | None]) -> list[Scores]:
        return [Scores(self._drawn(steer)) for steer in steers]

    def _drawn(self, steer: SteeringVector | None) -> tuple[float, ...]:
        if steer is None:
            return (0.0,) * N_ITEMS
        mark = abs(hash((steer.site.layer, steer.strength, *steer.values.tolist())))
        return tuple(np.random.default_rng([self.seed, mark]).normal(size=N_ITEMS).tolist())


class Free(TextGauge):
    """A text on which nothing costs anything."""

    def __init__(self) -> None:
        pass

    def cost(self, steer: SteeringVector) -> TextCost:
        return TextCost(perplexity_ratio=1.0, kl=0.0)


def noisy(seed: int) -> tuple[Bench, tuple[Half, Half]]:
    """Return a bench of 2 x 7 cells and two halves on which only chance is to be found."""
    vectors = {layer: along(effect=1.0).with_(site=Site("resid_post", layer)) for layer in range(2)}
    strengths = tuple(float(i) for i in range(1, 8))
    bench = Bench(
        model=planted_model(),
        directions=Directions(vectors, seed, 20),
        strengths=strengths,
        journal=Journal(None, {}),
        tell=lambda *said: None,
    )
    halves = [Half(name=name, measure=Noise(2 * seed + i), gauge=Free()) for i, name in enumerate(("first", "second"))]
    return bench, (halves[0], halves[1])


def test_chance_alone_is_not_called_an_effect_and_is_when_the_choice_cheats() -> None:
    honest, on_the_test_half, one_cell = [], [], []
    for seed in range(5):
        bench, (first, second) = noisy(seed)
        grid, after = bench.grid(first), bench.grid(second)
        honest.append(chosen_by(bench, (first, second), grid, math.inf, ""))
        on_the_test_half.append(chosen_by(bench, (second, second), after, math.inf, ""))
        fixed = {name: cells if name == VECTOR else dict([next(iter(cells.items()))]) for name, cells in after.items()}
        fixed["flipped"] = after["flipped"]
        one_cell.append(chosen_by(bench, (second, second), fixed, math.inf, ""))
    assert abs(statistics.mean(one.vector.effect for one in honest)) < 0.35
    assert statistics.mean(one.rank.p for one in honest) > 0.25
    assert not any(one.stands_out for one in honest)
    # The controls: chosen on the half that is reported, chance looks like an effect; the random directions, if they
    # cheat likewise, still give it away, and do so no more when they are given a single cell each.
    assert statistics.mean(one.vector.effect for one in on_the_test_half) > 0.5
    assert statistics.mean(one.rank.p for one in on_the_test_half) > 0.25
    assert statistics.mean(one.rank.p for one in one_cell) < 0.15


def test_random_directions_given_one_cell_or_the_vector_the_other_half_change_what_a_real_sweep_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vector = along(effect=0.3, letters=0.6)
    settings = quick(strengths=(0.5, 1, 2, 4))
    fair = sweep(planted_model(), vector, **settings)
    picked = choice._picked

    def first_cell_only(bench, half, scores, unsteered, name, budget):
        few = dict([next(iter(scores.items()))]) if name.startswith("random") else scores
        return picked(bench, half, few, unsteered, name, budget)

    monkeypatch.setattr(choice, "_picked", first_cell_only)
    unfair = sweep(planted_model(), vector, **settings)
    assert [one.effect for one in unfair.chosen.randoms] != [one.effect for one in fair.chosen.randoms]
    assert {one.cell.strength for one in unfair.chosen.randoms} == {0.5}
    assert len({(one.cell.layer, one.cell.strength) for one in fair.chosen.randoms}) > 1
    assert unfair.chosen.vector == fair.chosen.vector


@given(st.dictionaries(st.tuples(st.integers(0, 3), numbers), st.tuples(numbers, st.floats(0.5, 3)), min_size=1))
def test_the_choice_is_the_largest_effect_within_the_budget_else_the_cheapest(
    cells: dict[Place, tuple[float, float]],
) -> None:
    asked: list[Place] = []

    def price(place: Place) -> TextCost:
        asked.append(place)
        return TextCost(perplexity_ratio=cells[place][1], kl=0.0)

    place, within = choose({place: effect for place, (effect, _) in cells.items()}, price, 1.1)
    allowed = [effect for effect, cost in cells.values() if cost <= 1.1]
    assert within == bool(allowed)
    if within:
        assert cells[place][0] == max(allowed)
        assert all(cells[one][0] >= cells[place][0] for one in asked), "no cell below the chosen one is priced"
    else:
        assert cells[place][1] == min(cost for _, cost in cells.values())


def test_a_cost_that_is_not_a_number_is_never_within_a_budget() -> None:
    costs = {(0, 1.0): math.nan, (0, 2.0): 5.0}
    place, within = choose({(0, 1.0): 9.0, (0, 2.0): 1.0}, lambda p: TextCost(perplexity_ratio=costs[p], kl=0.0), 1.1)
    assert (place, within) == ((0, 2.0), False)


@pytest.mark.parametrize(
    ("within", "randoms", "beyond", "prompting", "verdict"),
    [
        ((2.0, 1.05), 0.5, (2.0, 3.0), None, "works"),
        ((2.0, 1.05), 0.5, (2.0, 3.0), 1.9, "works"),
        ((2.0, 1.05), 0.5, (2.0, 3.0), 2.1, "worse than prompting"),
        ((2.0, 1.2), 0.5, (2.0, 3.0), None, "works but breaks fluency"),
        ((2.0, math.nan), 0.5, (2.0, 3.0), None, "works but breaks fluency"),
        ((0.2, 1.05), 0.5, (3.0, 3.0), None, "works but breaks fluency"),
        ((0.2, 1.05), 0.5, (0.3, 3.0), 9.0, "only breaks fluency"),
        ((0.2, 1.05), 0.5, (0.3, 1.05), 9.0, "does nothing"),
        ((-2.0, 1.05), -3.0, (-2.0, 3.0), None, "only breaks fluency"),
        ((-2.0, 1.05), -3.0, (-2.0, 1.05), None, "does nothing"),
    ],
)
def test_the_verdict_is_a_function_of_the_numbers(
    within: tuple[float, float], randoms: float, beyond: tuple[float, float], prompting: float | None, verdict: str
) -> None:
    chosen, unbounded = made_up(*within, randoms, 1.1), made_up(*beyond, randoms, math.inf)
    assert judge(chosen, unbounded, prompting) == verdict
    said = say_sweep("It", verdict, ("choice-log-odds", "nats"), chosen, unbounded, ("Be kind. ", prompting))
    assert said.startswith(f"It {verdict}: at layer 1") and said.endswith(".")
    assert ("without the budget it moved" in said) == (verdict == "works but breaks fluency" and within[0] < 1)


def test_a_lead_over_prompting_that_the_items_do_not_settle_is_said() -> None:
    chosen = made_up(2.0, 1.05, 0.5, 1.1)

    def said(low: float) -> str:
        told, lead = ("Be kind. ", 1.5), Interval(0.5, low, 2.0, 0.95, 4)
        return say_sweep("It", "works", ("choice-log-odds", "nats"), chosen, chosen, told, lead)

    assert said(-0.1).endswith("did less (+1.5 nats), a difference that 4 items do not settle.")
    assert said(0.1).endswith("did less (+1.5 nats)."), "the control: a lead that stands out"


def made_up(effect: float, cost: float, random: float, budget: float) -> Chosen:
    """Return a choice whose vector and random directions have these effects on four items."""

    def outcome(name: str, value: float) -> Outcome:
        cell = Cell(layer=1, strength=1.0, effect=value, perplexity_ratio=min(cost, budget), kl=0.0)
        shifts = tuple(value + 0.01 * i for i in range(4))
        return Outcome(name=name, cell=cell, within_budget=True, shifts=shifts, perplexity_ratio=cost, kl=0.0)

    ours, flipped = outcome("vector", effect), outcome("flipped", -abs(effect) - 1)
    randoms = tuple(outcome(f"random {i}", random) for i in range(20))
    return Chosen(
        budget=budget,
        vector=ours,
        flipped=flipped,
        flipped_here=flipped,
        randoms=randoms,
        interval=bootstrap(ours.shifts, seed=0),
        rank=rank_among(ours.effect, [one.effect for one in randoms]),
    )
