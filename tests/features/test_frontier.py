"""A frontier is what nothing beats in both, and its covered share grows by what is better and by nothing else."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.features.frontier import FrontierPoint, SparsityFrontier, frontier_chart

WIDTH = 64
places = st.lists(st.tuples(st.floats(1, 63), st.floats(0, 0.99)), min_size=1, max_size=8)


def frontier(pairs, group="one"):
    points = [FrontierPoint(name=str(at), group=group, l0=l0, fvu=fvu) for at, (l0, fvu) in enumerate(pairs)]
    return SparsityFrontier(points, WIDTH)


@given(pairs=places)
def test_what_is_best_is_beaten_by_none_and_the_rest_by_some(pairs):
    made = frontier(pairs)
    best = {point.name for point in made.best}
    for point in made.points:
        beaten = any(
            other.l0 <= point.l0 and other.fvu <= point.fvu and (other.l0, other.fvu) != (point.l0, point.fvu)
            for other in made.points
        )
        assert beaten == (point.name not in best)


@given(pairs=places, more=st.tuples(st.floats(1, 63), st.floats(0, 0.99)))
def test_another_dictionary_never_covers_less_and_one_that_is_beaten_no_more(pairs, more):
    before, after = frontier(pairs).covered["one"], frontier([*pairs, more]).covered["one"]
    worse = frontier([*pairs, (pairs[0][0] + 0.5, pairs[0][1] + 0.005)]).covered["one"]
    assert after >= before - 1e-12 and worse == pytest.approx(before)


def test_the_box_is_covered_from_nothing_to_whole():
    assert frontier([(1.0, 0.0)]).covered["one"] == pytest.approx(1)
    assert frontier([(64.0, 0.5), (2.0, 1.0), (0.0, 0.9)]).covered["one"] == 0
    assert frontier([(8.0, 0.5)]).covered["one"] == pytest.approx((6 - math.log2(8)) / 6 * 0.5)


def test_the_chart_has_a_curve_a_group_and_says_what_each_covers():
    points = [*frontier([(4.0, 0.5), (2.0, 0.7)], "a").points, *frontier([(4.0, 0.9)], "b").points]
    chart = frontier_chart(SparsityFrontier(points, WIDTH), "on a text")
    assert [(one.name, list(one.x)) for one in chart.series] == [("a", [2.0, 4.0]), ("b", [4.0])]
    assert "a 0." in chart.caption and "on a text" in chart.caption
    with pytest.raises(InputError, match="no place on a frontier"):
        frontier([(float("nan"), 0.5)])
    with pytest.raises(InputError, match="leave nothing"):
        SparsityFrontier([], 1)
    assert SparsityFrontier([], WIDTH).best == []
