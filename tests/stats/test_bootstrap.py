"""Intervals cover what they estimate as often as they say, and are honest where they cannot know."""

import inspect
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from glassbook.core.errors import InputError
from glassbook.stats import Interval, bootstrap, bootstrap_difference, bootstrap_two_level, geometric_mean

SAMPLES = arrays.arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100, width=32))


def median(rows):
    return np.median(rows, axis=-1)


def unchecked(function):
    """Return the function as users have it, without the tests' own check of its arguments' types."""
    return inspect.unwrap(function)


def coverage(draw, truth, interval, n=300) -> float:
    rng = np.random.default_rng(7)
    found = [interval(draw(rng), number) for number in range(n)]
    return sum(one.low <= truth <= one.high for one in found) / n


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize(
    ("draw", "truth"),
    [(lambda rng: rng.normal(2, 3, 32), 2.0), (lambda rng: rng.uniform(size=32), 0.5)],
    ids=["normal", "uniform"],
)
def test_the_interval_of_a_mean_covers_the_truth_as_often_as_it_says(draw, truth, method):
    found = coverage(draw, truth, lambda v, seed: bootstrap(v, n_resamples=500, seed=seed, method=method))
    assert 0.90 <= found <= 0.98


def test_control_an_interval_made_too_narrow_does_not():
    def narrow(values, seed):
        one = bootstrap(values, n_resamples=500, seed=seed)
        middle, half = (one.low + one.high) / 2, (one.high - one.low) / 4
        return Interval(one.estimate, middle - half, middle + half, one.level, one.n)

    assert coverage(lambda rng: rng.normal(2, 3, 32), 2.0, narrow) < 0.80


def test_a_level_of_one_half_covers_half():
    found = coverage(
        lambda rng: rng.normal(size=32), 0.0, lambda v, s: bootstrap(v, level=0.5, n_resamples=400, seed=s)
    )
    assert 0.42 <= found <= 0.58


def test_bca_leans_towards_the_long_tail_and_the_percentile_interval_less():
    values = np.random.default_rng(3).exponential(size=24)
    bca, plain = (bootstrap(values, seed=0, method=method) for method in ("bca", "percentile"))
    assert bca.high > plain.high and bca.low > plain.low
    mirrored = bootstrap(-values, seed=0)
    assert mirrored.low == pytest.approx(-bca.high, rel=0.02) and mirrored.high == pytest.approx(-bca.low, rel=0.02)


def test_bca_is_what_its_formula_gives_by_hand():
    values, n = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), 20_000
    drawn = np.array([values[list(i)].mean() for i in np.ndindex(*[5] * 5)])  # every resample there is, once
    normal, middle = NormalDist(), values.mean()
    bias = normal.inv_cdf(((drawn < middle).sum() + (drawn == middle).sum() / 2) / len(drawn))
    away = values - middle  # the mean without one item moves against it, in proportion
    skew = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    ends = [bias + normal.inv_cdf(share) for share in (0.025, 0.975)]
    by_hand = np.quantile(drawn, [normal.cdf(bias + end / (1 - skew * end)) for end in ends])
    found = bootstrap(values, n_resamples=n, seed=1)
    assert [found.low, found.high] == pytest.approx(by_hand, abs=0.25)
    without = bootstrap(values, n_resamples=n, seed=1, method="percentile")
    assert [without.low, without.high] != pytest.approx(by_hand, abs=0.25)


@settings(max_examples=30)
@given(SAMPLES, st.floats(-50, 50), st.sampled_from([-2.0, 0.5, 4.0]))
def test_the_interval_moves_and_stretches_with_its_items(values, shift, factor):
    one = bootstrap(values, n_resamples=200, seed=0, method="percentile")
    other = bootstrap(factor * values + shift, n_resamples=200, seed=0, method="percentile")
    ends = sorted([factor * one.low + shift, factor * one.high + shift])
    assert [other.low, other.high] == pytest.approx(ends, abs=1e-6)


@settings(max_examples=30)
@given(SAMPLES)
def test_the_ends_of_an_interval_are_in_order_and_within_the_items(values):
    one = bootstrap(values, median, n_resamples=200, seed=0)
    assert values.min() <= one.low <= one.high <= values.max()
    assert one.n == len(values) and one.estimate == np.median(values)


def test_the_same_seed_gives_the_same_interval_and_another_another():
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap(values, seed=4) == bootstrap(values, seed=4)
    assert bootstrap(values, seed=4) != bootstrap(values, seed=5)


def test_many_items_are_drawn_in_pieces_and_come_out_right():
    values = np.random.default_rng(0).normal(size=3000)
    one = bootstrap(values, n_resamples=2000, seed=0)
    half = 1.96 * values.std() / math.sqrt(3000)
    assert [one.low, one.high] == pytest.approx([values.mean() - half, values.mean() + half], abs=half / 10)


def test_the_difference_of_pairs_forgets_what_items_share():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 100, 30)
    ours, theirs = shared + 1 + rng.normal(0, 0.1, 30), shared + rng.normal(0, 0.1, 30)
    paired = bootstrap_difference(ours, theirs, seed=0)
    assert paired.lies_above(0.9) and paired.lies_below(1.1)
    alone = bootstrap(ours - theirs, seed=0)
    assert [paired.low, paired.high] == pytest.approx([alone.low, alone.high])
    assert not bootstrap_difference(ours, theirs[::-1], seed=0).excludes(0)


def test_a_difference_of_medians_is_no_median_of_differences():
    ours, theirs = np.array([1.0, 5.0, 9.0, 2.0, 7.0]), np.array([8.0, 1.0, 2.0, 2.5, 3.0])
    assert bootstrap_difference(ours, theirs, median, seed=0).estimate == 5.0 - 2.5
    assert bootstrap(ours - theirs, median, seed=0).estimate == 4.0


@pytest.mark.slow
@pytest.mark.parametrize("same_items", [True, False])
def test_over_ten_seeds_and_their_items_the_mean_is_covered(same_items):
    def draw(rng):
        items = rng.normal(size=12) if same_items else 0.0
        return rng.normal(size=(10, 1)) + items + rng.normal(size=(10, 12))

    def interval(rows, seed):
        return bootstrap_two_level(list(rows), n_resamples=300, seed=seed, same_items=same_items)

    assert coverage(draw, 0.0, interval, n=200) >= 0.88


def test_control_one_level_over_everything_is_far_too_sure_where_seeds_differ():
    def draw(rng):
        return rng.normal(size=(10, 1)) + rng.normal(size=(10, 12))

    found = coverage(draw, 0.0, lambda rows, seed: bootstrap(rows.ravel(), n_resamples=300, seed=seed), n=200)
    assert found < 0.75


def test_items_that_all_seeds_share_are_drawn_once_for_all():
    items = np.random.default_rng(0).normal(0, 10, 20)
    rows = [items + seed / 100 for seed in range(4)]
    shared, own = (bootstrap_two_level(rows, seed=0, same_items=same) for same in (True, False))
    assert shared.high - shared.low > 1.7 * (own.high - own.low)


def test_seeds_may_have_items_of_their_own_in_any_number():
    one = bootstrap_two_level([[1.0, 2.0, 3.0], [2.0, 2.0], [4.0]], seed=0, same_items=False)
    assert one.estimate == pytest.approx((2 + 2 + 4) / 3) and one.n == 3
    assert one.low < one.estimate < one.high
    with pytest.raises(InputError, match="not the same ones"):
        bootstrap_two_level([[1.0, 2.0], [3.0]], seed=0)


@pytest.mark.parametrize(
    "one",
    [
        bootstrap([3.0], seed=0),
        bootstrap_difference([3.0], [1.0], seed=0),
        bootstrap_two_level([[1.0, 2.0, 3.0]], seed=0),
        bootstrap_two_level([[1.0], [2.0], [3.0]], seed=0),
    ],
)
def test_one_unit_alone_says_nothing_of_how_another_would_be(one):
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert not one.excludes(0.0) and "too few for an interval" in str(one)


def test_equal_items_have_an_interval_of_no_width():
    one = bootstrap([0.25] * 7, seed=0)
    assert one == Interval(0.25, 0.25, 0.25, 0.95, 7)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bootstrap([], seed=0), "there are no values"),
        (lambda: bootstrap([1.0, math.nan, math.inf], seed=0), "2 of 3 values are not finite.*item 1"),
        (lambda: bootstrap([[1.0, 2.0]], seed=0), r"shape \(1, 2\)"),
        (lambda: bootstrap(["a"], seed=0), "not one row of numbers"),
        (lambda: bootstrap([1.0, 2.0], level=95, seed=0), "the level 95 cannot be used"),
        (lambda: bootstrap([1.0, 2.0], n_resamples=0, seed=0), "0 resamples"),
        (lambda: unchecked(bootstrap)([1.0, 2.0], method="exact", seed=0), "'exact'; known: bca, percentile"),
        (lambda: bootstrap([1.0, 2.0], np.mean, seed=0), "over the last axis"),
        (lambda: bootstrap([-1.0, 1.0], lambda r: np.where(r.mean(-1) > 0, r.mean(-1), np.nan), seed=0), "not finite"),
        (lambda: bootstrap_difference([1.0, 2.0], [1.0], seed=0), "2 and 1 values make no pairs"),
        (lambda: bootstrap_two_level([], seed=0), "there are no seeds"),
        (lambda: bootstrap_two_level([[1.0], [math.nan]], seed=0), "values of seed 1"),
        (lambda: geometric_mean([1.0, 0.0]), "positive numbers"),
        (lambda: geometric_mean([]), "at least one"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_one_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call()


@given(arrays.arrays(np.float64, st.integers(1, 9), elements=st.floats(0.01, 100)))
def test_the_geometric_mean_of_ratios_and_of_their_inverses_are_inverse(ratios):
    assert geometric_mean(ratios) * geometric_mean(1 / ratios) == pytest.approx(1)
    assert ratios.min() * (1 - 1e-9) <= geometric_mean(ratios) <= ratios.mean() * (1 + 1e-9)


def test_an_interval_of_ratios_may_be_geometric():
    one = bootstrap([0.5, 2.0, 0.8, 1.25], geometric_mean, seed=0)
    assert one.estimate == pytest.approx(1.0) and one.low < 1 < one.high


def test_an_interval_reads_as_a_person_writes_it():
    one = Interval(1.5, 1.0, 2.25, 0.95, 32)
    assert str(one) == "1.5 [1, 2.25] (95 %, n = 32)"
    assert one.lies_above(0.9) and not one.lies_above(1.0)
    assert one.lies_below(2.3) and not one.lies_below(2.25)
    assert one.excludes(0) and one.excludes(3) and not one.excludes(2)
