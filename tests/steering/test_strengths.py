"""The ladder finds the strength at which a cost crosses a line, and says so where there is none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.steering.fluency import TextCost
from glassbook.steering.strengths import FACTOR, REFINEMENTS, RUNGS, climb_ladder, cross


class Priced:
    """A price by a formula, which counts how often it was asked."""

    def __init__(self, ratio):
        self.ratio, self.asked = ratio, []

    def __call__(self, multiple):
        self.asked.append(multiple)
        return TextCost(perplexity_ratio=self.ratio(multiple), kl=0.0)


def crossings(ratio):
    price = Priced(ratio)
    doses = climb_ladder(price, 1.1, 2.0)
    return price, doses, *(cross(price, doses, line)[0] for line in (1.1, 2.0))


@given(st.floats(-5.0, 5.0))
def test_a_crossing_is_told_within_the_factor_that_its_bisections_leave(log2):
    breaks_at = 2.0**log2
    price, _, budget, broken = crossings(lambda m: math.exp(math.log(2.0) * (m / breaks_at) ** 2))
    near = FACTOR ** (1 / 2**REFINEMENTS)
    for crossing, truth in ((broken, breaks_at), (budget, breaks_at * math.sqrt(math.log(1.1) / math.log(2.0)))):
        if crossing.multiple is None:
            assert truth < FACTOR**-RUNGS or truth >= FACTOR**RUNGS
        else:
            assert crossing.within <= truth * (1 + 1e-9) and truth <= crossing.beyond * (1 + 1e-9)
            assert crossing.beyond / crossing.within == pytest.approx(near)
            assert f"{crossing.multiple:.3g} times" in crossing.say()
    assert len(price.asked) <= 2 * RUNGS + 1 + 2 * REFINEMENTS


def test_a_cost_that_never_rises_is_not_reached_and_one_that_is_always_high_lies_below():
    _, doses, budget, broken = crossings(lambda m: 1.0)
    assert [dose.multiple for dose in doses] == [1, 2, 4, 8, 16, 32, 64]
    assert budget.multiple is None and broken.say() == "is not reached by 64 times this strength"
    _, doses, budget, broken = crossings(lambda m: 3.0)
    assert [dose.multiple for dose in doses] == [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    assert budget.multiple is None and broken.say() == "lies below 0.0156 times this strength"


def test_a_ratio_that_is_no_number_counts_as_broken():
    _, _, budget, broken = crossings(lambda m: 1.0 if m < 3 else math.nan)
    assert 2.0 <= broken.within < 3 <= broken.beyond <= 4.0 and budget.multiple == broken.multiple


def test_the_first_of_several_crossings_is_told():
    _, _, budget, _ = crossings(lambda m: 1.5 if 3 < m < 6 else 1.0 if m < 20 else 5.0)
    assert 2 <= budget.within < budget.beyond <= 4
