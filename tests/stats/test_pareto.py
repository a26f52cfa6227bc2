"""Fronts, the volume that they cover, and when one method may be said to dominate another."""

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.stats import FrontierTest, crowding_distance, frontier, hypervolume, non_dominated_sort

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stats_oracles.json").read_text())["sets"]
WHOLE = st.integers(0, 4)


def point_sets(n_objectives: int, most: int = 10) -> st.SearchStrategy[list[tuple[int, ...]]]:
    """Return sets of points on a small grid, where many are equal in part."""
    return st.lists(st.tuples(*[WHOLE] * n_objectives), min_size=1, max_size=most)


ANY_SETS = st.integers(1, 4).flatmap(point_sets)


def dominates(one, other) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def counted_volume(points, corner: int) -> int:
    """Return the hypervolume of points on whole numbers by counting the unit cubes that some point dominates."""
    cubes = product(range(corner), repeat=len(points[0]))
    return sum(any(all(a <= c for a, c in zip(point, cube, strict=True)) for point in points) for cube in cubes)


@given(ANY_SETS)
def test_a_front_is_dominated_only_by_fronts_before_it_and_by_one_of_the_last(points):
    fronts = non_dominated_sort(points)
    assert sorted(i for front in fronts for i in front) == list(range(len(points)))
    for number, front in enumerate(fronts):
        later = [i for other in fronts[number:] for i in other]
        assert not any(dominates(points[i], points[j]) for i in later for j in front)
        if number:
            assert all(any(dominates(points[i], points[j]) for i in fronts[number - 1]) for j in front)


@given(point_sets(2))
def test_the_first_front_of_effect_and_cost_is_the_frontier(points):
    assert set(non_dominated_sort([(-effect, cost) for effect, cost in points])[0]) == set(frontier(points))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{len(case['points'])} points of {len(case['points'][0])}")
def test_ranks_and_hypervolumes_are_those_of_moocore(case):
    ranks = np.empty(len(case["points"]), dtype=int)
    for rank, front in enumerate(non_dominated_sort(case["points"])):
        ranks[front] = rank
    assert ranks.tolist() == case["ranks"]
    for corner, expected in zip(case["corners"], case["hypervolumes"], strict=True):
        assert hypervolume(case["points"], corner) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        # Control: one point moved is another volume.
        moved = np.array(case["points"]) + 0.01
        assert hypervolume(moved, corner) != pytest.approx(expected, rel=1e-12, abs=1e-15)


@given(ANY_SETS, st.integers(1, 5))
def test_the_volume_is_the_number_of_cubes_that_a_point_dominates(points, corner):
    assert hypervolume(points, [corner] * len(points[0])) == counted_volume(points, corner)


def zdt1(n: int) -> np.ndarray:
    """Return points of the best front of ZDT1 (Zitzler, Deb and Thiele 2000): f2 = 1 - sqrt(f1)."""
    first = np.linspace(0, 1, n)
    return np.stack([first, 1 - np.sqrt(first)], axis=1)


def test_the_front_of_zdt1_covers_two_thirds_from_below_and_nearer_the_more_points_it_has():
    found = [hypervolume(zdt1(n), (1.0, 1.0)) for n in (10, 100, 1000, 10_000)]
    assert found == sorted(found)
    assert 0 < 2 / 3 - found[-1] < 1e-4
    # Control: a front that is a little worse covers visibly less.
    assert 2 / 3 - hypervolume(zdt1(10_000) + 0.01, (1.0, 1.0)) > 0.01


@given(ANY_SETS, st.data())
def test_the_volume_knows_neither_the_order_of_points_nor_dominated_ones_nor_where_zero_is(points, data):
    corner = [5.0] * len(points[0])
    volume = hypervolume(points, corner)
    shuffled = data.draw(st.permutations(points))
    first = [points[i] for i in non_dominated_sort(points)[0]]
    shift = np.array(data.draw(st.tuples(*[st.integers(-9, 9)] * len(points[0]))))
    turned = data.draw(st.permutations(range(len(points[0]))))
    assert hypervolume(shuffled, corner) == hypervolume(first, corner) == volume
    assert hypervolume(np.array(points) + shift, corner + shift) == volume
    assert hypervolume(np.array(points)[:, turned], corner) == volume
    assert hypervolume(np.array(points) * 3.0, np.array(corner) * 3) == pytest.approx(volume * 3 ** len(corner))


@given(point_sets(3), st.tuples(WHOLE, WHOLE, WHOLE))
def test_another_point_adds_volume_exactly_where_no_other_is_as_good(points, another):
    corner = (5.0, 5.0, 5.0)
    covered = any(dominates(point, another) or point == another for point in points)
    assert (hypervolume([*points, another], corner) == hypervolume(points, corner)) == covered


def test_what_is_not_better_than_the_corner_adds_nothing():
    assert hypervolume([], (1.0, 1.0)) == 0.0
    assert hypervolume([(1.0, 0.0), (0.5, 2.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([(1.0, 0.0), (0.5, 0.5)], (1.0, 1.0)) == 0.25


@given(point_sets(2))
def test_the_ends_of_a_front_stand_alone_and_what_lies_between_is_told_by_its_neighbors(points):
    distance = crowding_distance(points)
    table = np.array(points)
    for values in table.T:
        assert math.isinf(distance[values == values.min()].max()) and math.isinf(distance[values == values.max()].max())
    assert (distance >= 0).all()
    assert crowding_distance(7 * table + 2).tolist() == pytest.approx(distance.tolist())


def test_crowding_distance_is_as_by_hand():
    assert crowding_distance([(0, 4), (1, 3), (3, 1), (4, 0)]).tolist() == [math.inf, 1.5, 1.5, math.inf]
    assert crowding_distance([(0, 4), (1, 3), (3.5, 1), (4, 0)])[2] == pytest.approx(3 / 4 + 3 / 4)
    assert crowding_distance([]).tolist() == []
    assert crowding_distance([(2, 2), (2, 2)]).tolist() == [math.inf, math.inf]


def fronts(shift: float, n_seeds: int = 5, noise: float = 0.01, seed: int = 0) -> list[np.ndarray]:
    """Return a noisy front for each seed, worse by `shift`."""
    draw = np.random.default_rng(seed)
    return [zdt1(12) + shift + draw.normal(0, noise, (12, 2)) for _ in range(n_seeds)]


TEST = FrontierTest(near=(1.0, 1.0), far=(2.0, 2.0), n_resamples=500)


def test_a_better_front_dominates_the_worse_does_not_and_an_equal_one_neither():
    better, worse, equal = fronts(0.0, seed=0), fronts(0.1, seed=1), fronts(0.0, seed=2)
    assert TEST.compare(better, worse, seed=0).verdict == "ours dominate"
    assert TEST.compare(worse, better, seed=0).verdict == "theirs dominate"
    assert TEST.compare(better, equal, seed=0).verdict == "neither dominates"
    assert TEST.compare(better, better, seed=0).near.estimate == 0.0


def test_a_front_whose_lead_depends_on_where_the_corner_is_does_not_dominate():
    # Ours is better in the middle, theirs reaches further to both ends.
    ours, theirs = [[(0.4, 0.4)]] * 4, [[(0.0, 0.95), (0.95, 0.0)]] * 4
    found = TEST.compare(ours, theirs, seed=0)
    assert found.near.lies_above(0) and found.far.lies_below(0)
    assert found.verdict == "neither dominates"
    # Control: with two corners that see alike, it would.
    assert FrontierTest((1.0, 1.0), (1.01, 1.01)).compare(ours, theirs, seed=0).verdict == "ours dominate"


def test_a_lead_that_one_seed_alone_makes_does_not_dominate():
    worse = fronts(0.05, seed=1)
    assert TEST.compare([worse[0] - 0.5, *fronts(0.06, 4, seed=3)], worse, seed=0).verdict == "neither dominates"
    assert TEST.compare(fronts(0.0, 1), fronts(0.3, 1), seed=0).verdict == "neither dominates"
    assert math.isinf(TEST.compare(fronts(0.0, 1), fronts(0.3, 1), seed=0).near.low)


def test_items_widen_the_interval_as_far_as_they_differ():
    draw = np.random.default_rng(5)
    ours, theirs = fronts(0.0, 4, seed=0), fronts(0.03, 4, seed=1)
    effects = draw.normal(0, 0.3, 20)
    spread = [x[:, :, None] + (effects - effects.mean()) for x in ours]
    alike = [y[:, :, None] + np.zeros(20) for y in theirs]
    few = FrontierTest(TEST.near, TEST.far, n_resamples=150)
    plain, with_items = few.compare(ours, theirs, seed=0), few.compare(spread, alike, seed=0)
    assert with_items.near.estimate == pytest.approx(plain.near.estimate)
    assert with_items.near.high - with_items.near.low > 2 * (plain.near.high - plain.near.low)
    assert plain.verdict == "ours dominate" and with_items.verdict == "neither dominates"
    same = few.compare([x[:, :, None] + np.zeros(20) for x in ours], alike, seed=0)
    assert same.verdict == "ours dominate"


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_to_exchange_the_two_methods_turns_the_answer_round(seed, n_seeds):
    small = FrontierTest(near=(1.0, 1.0), far=(2.0, 2.0), n_resamples=50)
    ours, theirs = fronts(0.0, n_seeds, 0.05, seed), fronts(0.02, n_seeds, 0.05, seed + 1)
    one, other = small.compare(ours, theirs, seed=0), small.compare(theirs, ours, seed=0)
    turned = {"ours dominate": "theirs dominate", "theirs dominate": "ours dominate"}
    assert other.verdict == turned.get(one.verdict, one.verdict)
    assert other.near.estimate == pytest.approx(-one.near.estimate)
    assert (other.far.low, other.far.high) == pytest.approx((-one.far.high, -one.far.low))


@pytest.mark.parametrize(
    ("near", "far"),
    [((2.0, 1.0), (1.0, 2.0)), ((1.0,), (2.0, 2.0)), ((1.0, 1.0), (1.0, 1.0)), ((), ()), ((1.0, math.nan), (2.0, 2.0))],
)
def test_reference_points_that_are_no_near_and_far_one_are_refused(near, far):
    with pytest.raises(InputError, match="near and far"):
        FrontierTest(near, far)


def test_bad_points_are_refused():
    for call in (non_dominated_sort, crowding_distance, lambda points: hypervolume(points, (1.0, 1.0))):
        for points in ([(0.0, math.nan)], [(math.inf, 1.0)], [1.0, 2.0]):
            with pytest.raises(InputError):
                call(points)
    with pytest.raises(InputError, match="objectives"):
        hypervolume([(1.0, 2.0, 3.0)], (4.0, 4.0))
    with pytest.raises(InputError, match="reference"):
        hypervolume([(1.0, 2.0)], (math.inf, 4.0))
    with pytest.raises(InputError, match="paired"):
        TEST.compare(fronts(0.0, 3), fronts(0.0, 2), seed=0)
    with pytest.raises(InputError, match="shape"):
        TEST.compare([[1.0, 2.0]], [[1.0, 2.0]], seed=0)
