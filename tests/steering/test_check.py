"""The verdict of a check follows from what was planted, and from nothing else."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import tiny_model
from glassbook.core.errors import InputError, VectorError
from glassbook.core.sites import Site
from glassbook.stats import Interval, Rank
from glassbook.steering.check import CheckPlan, check_items, check_vectors
from glassbook.steering.check_words import Measured, judge, say_check
from glassbook.steering.comparison import Effect
from glassbook.steering.controls import random_like
from glassbook.steering.fluency import TextCost
from glassbook.steering.strengths import Crossing
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem

ITEMS = [ChoiceItem(f"The {word}", "a", "b") for word in ("king", "tree", "day", "sea", "cat", "end", "sun", "bell")]
QUICK = CheckPlan(max_new_tokens=3, prompts=("The king",), instruction="a a a a ")


def planted() -> SteeringVector:
    """A vector that makes the model say a rather than b: what the unembedding reads for the one, less the other."""
    model = tiny_model()
    a, b = (model.transformer.unembed.weight[model.to_single_token(letter)] for letter in "ab")
    return SteeringVector(site=Site.parse("L2.resid_post"), values=(a - b).detach(), identity=model.identity)


@cache
def own_text():
    """What the model itself writes at a low temperature, so that it finds it likely, and harm shows."""
    model = tiny_model()
    rows = model.complete(["The sea", "A day", "In the"], max_new_tokens=40, temperature=0.3, seed=1, stop_at_eos=False)
    return [one.tokens for one in rows]


def check(vectors, items=ITEMS, plan=QUICK):
    return check_vectors(tiny_model(), vectors, items, own_text(), label="the vector", plan=plan)


@cache
def working():
    """The report of the planted vector at a strength that fluency allows."""
    return check(0.3 * planted())


PLANTED = {
    "works": lambda: 0.3 * planted(),
    "works but over the fluency budget": lambda: 8.0 * planted(),
    "works the other way": lambda: -0.3 * planted(),
    "does nothing": lambda: 1e-3 * random_like(planted(), 5, 0),
    "only breaks fluency": lambda: 50.0 * random_like(planted(), 5, 0),
}


@pytest.mark.parametrize("verdict", PLANTED)
def test_the_verdict_is_what_was_planted(verdict):
    report = check(PLANTED[verdict]())
    assert report.verdict == verdict, report.sentence
    assert f"it {verdict}, since" in report.sentence
    assert f"{report.effect.steered_shift:+.2f} nats" in report.sentence
    assert report.to_dict()["verdict"] == verdict


def test_a_set_works_as_its_vector_does_and_stands_beside_random_sets_of_its_norms():
    alone = 0.3 * planted()
    below = alone.with_(site=Site.parse("L1.resid_post"), values=0 * alone.values)
    report = check(VectorSet((below, alone)))
    assert report.verdict == "works"
    assert report.effect.steered == pytest.approx(working().effect.steered, abs=1e-5)


def test_without_pairs_the_cost_is_told_and_of_the_effect_that_it_cannot_be():
    report = check(0.3 * planted(), items=[])
    assert report.verdict == "cannot be told" and "no pairs were given" in report.sentence
    assert report.effect is None and report.interval is None and report.dose_effects == {}
    assert "instruction" not in report.sentence and "the budget of 1.1" in report.sentence
    assert report.cost == working().cost


@pytest.mark.parametrize("items", [[], ITEMS])
def test_a_vector_that_changes_no_prediction_does_nothing_with_pairs_or_without(items):
    report = check(planted().with_(values=torch.zeros(32)), items=items)
    assert report.verdict == "does nothing" and report.cost.kl < 1e-6
    assert "is not reached by 64 times" in report.sentence


def test_too_few_items_or_random_directions_tell_nothing():
    for report in (check(0.3 * planted(), plan=replace(QUICK, n_random=18)), check(0.3 * planted(), items=ITEMS[:7])):
        assert report.verdict == "cannot be told" and "are too few" in report.sentence
    assert check(0.3 * planted(), plan=replace(QUICK, n_random=19)).verdict == "works"


def test_the_effect_over_strengths_is_that_of_the_strengths():
    report = working()
    assert report.dose_effects[1.0] == report.interval
    twice = check(0.6 * planted())
    assert report.dose_effects[2.0].estimate == pytest.approx(twice.interval.estimate, abs=1e-5)
    ratios = {dose.multiple: dose.cost.perplexity_ratio for dose in report.doses}
    assert ratios[2.0] == pytest.approx(twice.cost.perplexity_ratio, abs=1e-5)
    assert report.broken.multiple == pytest.approx(2 * twice.broken.multiple, rel=0.1)


def test_the_sentence_says_whether_prompting_did_better_and_that_nothing_was_chosen():
    report = working()
    better = replace(report, effect=replace(report.effect, prompted=[99.0] * len(ITEMS)))
    worse = replace(report, effect=replace(report.effect, prompted=[-99.0] * len(ITEMS)))
    untried = replace(report, effect=replace(report.effect, prompted=None))
    words = [one.sentence for one in (better, worse, untried)]
    assert ["did better" in said for said in words] == [True, False, False]
    assert ["did less" in said for said in words] == [False, True, False]
    assert "no plain instruction was tried" in words[2]
    assert all("Nothing was chosen here" in said for said in words)


def test_items_that_tokenize_to_nothing_or_to_the_same_are_refused():
    for item, why in (
        (ChoiceItem("The", "", "b"), "tokenizes to nothing"),
        (ChoiceItem("The", "a", ""), "tokenizes to nothing"),
        (ChoiceItem("", "a", "b"), "empty prompt"),
        (ChoiceItem("The", "a", "a"), "same tokens"),
    ):
        with pytest.raises(InputError, match=f"item 1 .*{why}"):
            check(planted(), items=[ITEMS[0], item])
    check_items(tiny_model(), ITEMS)


def test_plans_and_strengths_that_measure_nothing_are_refused():
    with pytest.raises(InputError, match="n_random = 0"):
        CheckPlan(n_random=0)
    for budget, broken in ((1.0, 2.0), (2.0, 1.5), (math.nan, 2.0)):
        with pytest.raises(InputError, match="1 < budget < broken"):
            CheckPlan(budget=budget, broken=broken)
    with pytest.raises(VectorError, match="width 8"):
        check(planted().with_(values=torch.ones(8)))
    with pytest.raises(InputError, match="are no numbers; use a smaller one"):
        check(1e39 * planted())


def measured(shift=1.0, low=0.5, flipped=-1.0, randoms=0.2, ratio=1.0, n_random=20, n_items=10) -> Measured:
    """Numbers as a measurement might give them, every item alike."""
    effect = Effect(
        label="v",
        unsteered=[0.0] * n_items,
        steered=[shift] * n_items,
        flipped=[flipped] * n_items,
        randoms=[[randoms] * n_items] * n_random,
        prompted=None,
        instruction="",
    )
    return Measured(
        effect=effect,
        interval=Interval(shift, low, shift + 1, 0.95, n_items),
        flipped_interval=Interval(flipped, flipped - 0.1, flipped + 0.1, 0.95, n_items),
        cost=TextCost(perplexity_ratio=ratio, kl=0.1),
        kl_rank=Rank(20, 20, 1 / 21),
        budget=Crossing(1.1, 2.0, 2.1),
        broken=Crossing(2.0, 4.0, 4.1),
    )


def test_each_number_can_turn_the_verdict():
    assert judge(measured()) == "works"
    assert judge(measured(ratio=1.11)) == judge(measured(ratio=math.nan)) == "works but over the fluency budget"
    assert judge(measured(randoms=1.0)) == judge(measured(low=-0.1)) == judge(measured(flipped=0.5)) == "does nothing"
    assert judge(measured(randoms=1.5, ratio=1.2)) == "only breaks fluency"
    assert judge(measured(shift=-1.0, low=-1.5, flipped=1.0)) == "works the other way"
    assert judge(measured(n_random=18)) == judge(measured(n_items=7)) == "cannot be told"


@settings(max_examples=60)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.5, 3))
def test_a_vector_is_never_said_to_work_that_a_random_direction_equals_or_that_is_over_budget(
    shift, flipped, randoms, ratio
):
    found = measured(shift=shift, low=shift - 0.1, flipped=flipped, randoms=randoms, ratio=ratio)
    verdict = judge(found)
    if verdict == "works":
        assert shift > randoms and shift > 0.1 and flipped < 0 and ratio <= 1.1
    elif shift > max(randoms, 0.11) and flipped < 0:
        assert verdict == "works but over the fluency budget" and ratio > 1.1
    assert say_check("v", verdict, found).startswith("v: ")
