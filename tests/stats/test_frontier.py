"""The frontier is what brute force finds: the points that no other dominates."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.stats import frontier

NUMBERS = st.integers(-4, 4).map(float) | st.floats(-10, 10)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=25)


def dominates(one, other) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


@given(POINTS)
def test_a_point_is_on_the_frontier_exactly_where_no_other_dominates_it(points):
    kept = {i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)}
    assert set(frontier(points)) == kept


@given(POINTS)
def test_along_the_frontier_cost_and_effect_rise_together(points):
    along = [points[index] for index in frontier(points)]
    assert along == sorted(along, key=lambda point: (point[1], point[0]))
    assert [effect for effect, _ in along] == sorted(effect for effect, _ in along)


def test_equal_points_stand_together_and_what_is_not_finite_is_left_out():
    points = [(1.0, 1.0), (1.0, 1.0), (math.nan, 0.0), (2.0, math.inf), (0.5, 1.0)]
    assert frontier(points) == [0, 1]


def test_no_points_have_an_empty_frontier_and_triples_none():
    assert frontier([]) == []
    with pytest.raises(InputError, match="pairs of effect and cost"):
        frontier([(1.0, 2.0, 3.0)])
