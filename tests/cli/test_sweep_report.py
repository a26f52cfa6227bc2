"""The page of a sweep shows what it was given, and calls nothing held that does not stand out or lost to a prompt."""

from dataclasses import replace

import pytest
import torch

from conformance.tiny import tiny_model
from glassbook.cli.sweep_report import sweep_lead, sweep_sections, sweep_verdict, sweep_views
from glassbook.cli.sweep_tables import choices_table
from glassbook.stats import bootstrap, rank_among
from glassbook.steering.sweeps.result import Cell, Chosen, Outcome, Sweep, Written
from glassbook.steering.vectors import SteeringVector
from glassbook.views.page import Making, render_page
from views.html_checks import check, text_of

LAYERS, STRENGTHS = (0, 1), (1.0, 4.0)
SHIFTS = (1.0, 1.5, 2.0, 2.5)


def cell(layer, strength, effect=1.0, ratio=1.02, failure="") -> Cell:
    return Cell(layer=layer, strength=strength, effect=effect, perplexity_ratio=ratio, kl=0.1, failure=failure)


def outcome(name, shifts, at=None) -> Outcome:
    at = at or cell(1, 1.0)
    return Outcome(name=name, cell=at, within_budget=True, shifts=tuple(shifts), perplexity_ratio=1.05, kl=0.01)


def choice(at=None, budget=1.1) -> Chosen:
    randoms = tuple(outcome(f"random {i}", [0.01 * i] * 4) for i in range(19))
    return Chosen(
        budget=budget, vector=outcome("vector", SHIFTS, at), flipped=outcome("flipped", [-1.0] * 4),
        flipped_here=outcome("flipped", [-2.0] * 4), randoms=randoms, interval=bootstrap(SHIFTS, seed=0),
        rank=rank_among(1.75, [0.01 * i for i in range(19)]),
    )  # fmt: skip


def written(role, label, place=(None, None)) -> Written:
    return Written(
        role=role, label=label, layer=place[0], strength=place[1], completions=(f"{label} said <b>this</b>",), perplexity=9.0,
        repetition=float("nan"), distinct_1=0.5, distinct_2=0.75, perplexity_ratio=None, kl=None,
    )  # fmt: skip


def a_sweep(**changes) -> Sweep:
    failed = cell(0, 4.0, None, 7.5, "the function 'f' raised ValueError: no")
    grid = (cell(0, 1.0, 0.5, 1.01), failed, cell(1, 1.0, 1.6, 1.04), cell(1, 4.0, 3.0, 2.5))
    vector = SteeringVector(
        site=tiny_model().sites("L1.resid_post")[0], values=torch.ones(32), identity=tiny_model().identity
    )
    plain = {
        "label": "mean-difference of sentiment", "effect": "choice-log-odds", "unit": "nats", "settings": {"seed": 0},
        "split": "4 of 8 chose", "layers": LAYERS, "strengths": STRENGTHS, "grid": grid, "flipped_grid": grid,
        "frontier": (grid[0], grid[2], grid[3]), "chosen": choice(), "unbounded": choice(grid[3], float("inf")),
        "unsteered": (0.0,) * 4, "instruction": "Be glad. ", "prompted": (0.1, 0.2, 0.3, 0.4), "prompts": ("I am",),
        "written": (
            written("unsteered", "unsteered"), written("vector", "the vector", (1, 1.0)),
            written("neighbor", "layer 1, strength 4", (1, 4.0)), written("neighbor", "layer 0, strength 1", (0, 1.0)),
            *(written("random", f"random {i}", (1, 1.0)) for i in range(19)), written("prompted", "prompting alone"),
        ),
        "vector": vector, "verdict": "works", "sentence": "mean-difference of sentiment works: it did.",
    }  # fmt: skip
    return Sweep(**plain | changes)


def page(found: Sweep) -> str:
    sections = sweep_sections(found, sweep_views(found))
    return render_page("t", sweep_lead(found), sections, {}, Making({}), sweep_verdict(found))


def test_the_page_is_whole_escapes_what_was_written_and_says_the_sentence_and_the_failure():
    html = page(a_sweep())
    assert check(html).faults == []
    shown = text_of(html)
    assert "Mean-difference of sentiment works: it did." in shown
    assert "raised ValueError: no" in shown and "the vector said <b>this</b>" in shown
    assert "median of 19" in shown and "random 1 said" in shown and "random 2 said" not in shown


def test_the_map_outlines_the_chosen_cell_and_its_neighbors_where_they_are():
    view = sweep_views(a_sweep())["sweep-map"]
    assert view.chosen == (1, 0) and view.neighbors == ((1, 1), (0, 0))
    assert view.effects == ((0.5, "the function 'f' raised ValueError: no"), (1.6, 3.0))
    assert view.costs == ((1.01, 7.5), (1.04, 2.5))


def test_the_frontier_joins_the_undominated_cells_and_marks_the_chosen_one():
    view = sweep_views(a_sweep())["frontier"]
    assert view.frontier == (0, 2, 3) and view.chosen == 2
    assert len(view.randoms) == 19 and view.prompting.effect == pytest.approx(0.25)


def test_the_controls_are_those_of_the_held_out_half_with_their_intervals():
    found = a_sweep()
    view = sweep_views(found)["controls"]
    assert (view.steered, view.flipped, view.prompt_only) == (1.75, -2.0, pytest.approx(0.25))
    assert view.steered_range == (found.chosen.interval.low, found.chosen.interval.high)
    assert len(view.randoms) == 19 and view.n_items == 4


def test_the_choice_without_a_budget_has_a_picture_only_where_it_fell_on_another_cell():
    assert "controls-unbounded" in sweep_views(a_sweep())
    assert "controls-unbounded" not in sweep_views(a_sweep(unbounded=choice(budget=float("inf"))))


def test_the_dose_names_the_strength_from_which_the_budget_is_exceeded():
    assert "over the budget at strength 4" in text_of(sweep_views(a_sweep())["dose"].html())


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "held"),
        ({"prompted": None}, "unclear"),
        ({"verdict": "worse than prompting", "prompted": (9.0,) * 4}, "unclear"),
        ({"verdict": "works but breaks fluency"}, "unclear"),
        ({"verdict": "only breaks fluency"}, "not held"),
        ({"verdict": "does nothing"}, "not held"),
    ],
)
def test_only_what_works_and_was_held_against_an_instruction_is_held(changes, outcome):
    assert sweep_verdict(a_sweep(**changes)).outcome == outcome


def test_steering_and_prompting_are_compared_item_by_item_and_a_difference_that_may_be_none_is_called_so():
    apart, alike, none = (a_sweep(prompted=one) for one in ((0.1, 0.2, 0.3, 0.4), (2.0, 1.0, 2.5, 1.5), None))
    told = [" ".join(choices_table(found).notes) for found in (apart, alike, none)]
    assert "steering minus prompting, item by item, is 1.5 nats" in told[0] and "tell the two apart" not in told[0]
    assert "does not tell the two apart" in told[1]
    assert "No instruction was tried" in told[2] and "1 of 4 cells could not be measured" in told[2]


def test_a_vector_whose_held_out_effect_failed_has_a_page_that_says_so():
    failed = replace(outcome("vector", ()), failure="it raised")
    found = a_sweep(chosen=replace(choice(), vector=failed, interval=None, rank=None), verdict="does nothing")
    shown = text_of(page(found))
    assert check(page(found)).faults == [] and "has no rank" in shown and "could not be compared item by item" in shown
