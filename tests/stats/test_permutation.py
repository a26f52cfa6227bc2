"""A permutation test counts what it says it counts, and is as rare under chance as its p says."""

import inspect
import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.stats import permutation_test, rank_among

FEW = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=5)


def by_enumeration(ours, theirs, paired: bool, alternative: str) -> float:
    """Return p by trying every exchange, in exact arithmetic on whole numbers."""
    n, m, both = len(ours), len(theirs), [*ours, *theirs]
    if paired:
        gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
        found = [sum(s * gap for s, gap in zip(signs, gaps, strict=True)) for signs in product((1, -1), repeat=n)]
        seen = sum(gaps)
    else:
        sums = [sum(both[i] for i in chosen) for chosen in combinations(range(n + m), n)]
        found = [one * m - (sum(both) - one) * n for one in sums]
        seen = sum(ours) * m - sum(theirs) * n
    extreme = {
        "greater": lambda value: value >= seen,
        "less": lambda value: value <= seen,
        "two-sided": lambda value: abs(value) >= abs(seen),
    }[alternative]
    return sum(map(extreme, found)) / len(found)


@settings(max_examples=60)
@given(FEW, FEW, st.sampled_from(["greater", "less", "two-sided"]))
def test_two_small_samples_are_tested_by_every_exchange_there_is(ours, theirs, alternative):
    found = permutation_test(ours, theirs, seed=0, paired=False, alternative=alternative)
    assert found.exact and found.n_permutations == math.comb(len(ours) + len(theirs), len(ours))
    assert found.p == pytest.approx(by_enumeration(ours, theirs, False, alternative))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(*[st.integers(-5, 5).map(float)] * 2), min_size=1, max_size=7),
    st.sampled_from(["greater", "less", "two-sided"]),
)
def test_few_pairs_are_tested_by_every_choice_of_signs(pairs, alternative):
    ours, theirs = zip(*pairs, strict=True)
    found = permutation_test(ours, theirs, seed=0, paired=True, alternative=alternative)
    assert found.exact and found.n_permutations == 2 ** len(pairs)
    assert found.p == pytest.approx(by_enumeration(ours, theirs, True, alternative))


@pytest.mark.parametrize("paired", [True, False])
def test_a_drawn_test_agrees_with_the_exact_one(paired):
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.6, 1, 8), rng.normal(0, 1, 8)
    exact = permutation_test(ours, theirs, seed=0, paired=paired, n_permutations=20_000)
    drawn = permutation_test(ours, theirs, seed=0, paired=paired, n_permutations=200)
    assert exact.exact and not drawn.exact and drawn.n_permutations == 200
    assert drawn.p == pytest.approx(exact.p, abs=0.1)
    assert drawn.difference == exact.difference


@pytest.mark.parametrize("paired", [True, False])
def test_a_drawn_p_is_never_zero_and_its_least_is_one_over_the_draws_and_one(paired):
    ours, theirs = np.arange(40.0) + 100, np.arange(40.0)
    assert permutation_test(ours, theirs, seed=0, paired=paired, n_permutations=999).p == 1 / 1000


@pytest.mark.parametrize("paired", [True, False])
def test_under_chance_a_p_below_a_tenth_comes_a_tenth_of_the_time_and_for_a_real_effect_far_more_often(paired):
    rng = np.random.default_rng(1)

    def share(effect):
        rows = rng.normal(size=(300, 2, 12)) + effect * np.array([1, 0])[:, None]
        tests = [permutation_test(*row, seed=i, paired=paired, n_permutations=199) for i, row in enumerate(rows)]
        return np.mean([test.p <= 0.1 for test in tests])

    assert 0.05 <= share(0.0) <= 0.15
    assert share(1.0) > 0.5


def test_pairs_are_a_sharper_test_where_items_differ_much():
    rng = np.random.default_rng(0)
    items = rng.normal(0, 50, 20)
    ours, theirs = items + 1 + rng.normal(0, 0.5, 20), items + rng.normal(0, 0.5, 20)
    assert permutation_test(ours, theirs, seed=0, paired=True).p < 0.001
    assert permutation_test(ours, theirs, seed=0, paired=False).p > 0.5


def test_the_same_seed_gives_the_same_p_and_another_another():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.3, 1, 30), rng.normal(size=30)
    found = [permutation_test(ours, theirs, seed=seed, paired=True).p for seed in (3, 3, 4)]
    assert found[0] == found[1] != found[2]


def test_numbers_that_differ_in_rounding_alone_count_as_equal():
    ours, theirs = [0.1 + 0.2, 0.1], [0.3, 0.1]
    assert permutation_test(ours, theirs, seed=0, paired=False).p == 1.0


@pytest.mark.parametrize(
    ("ours", "theirs", "more", "said"),
    [
        ([1.0], [], {}, "there are no values of theirs"),
        ([math.nan], [1.0], {}, "values of ours are not finite"),
        ([1.0, 2.0], [1.0], {"paired": True}, "make no pairs"),
        ([1.0], [1.0], {"alternative": "more"}, "'more'; known: two-sided"),
        ([1.0], [1.0], {"n_permutations": 0}, "0 permutations"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_sentence(ours, theirs, more, said):
    with pytest.raises(InputError, match=said):
        inspect.unwrap(permutation_test)(ours, theirs, **{"seed": 0, "paired": False} | more)


@given(st.floats(-5, 5), st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30))
def test_a_rank_counts_the_controls_below(value, controls):
    rank = rank_among(value, controls)
    assert rank.beaten == sum(one < value for one in controls) and rank.n == len(controls)
    assert rank.share == rank.beaten / rank.n
    assert rank.p == (1 + sum(one >= value for one in controls)) / (1 + len(controls))


def test_nineteen_beaten_of_nineteen_is_one_in_twenty_and_a_tie_is_not_beaten():
    assert rank_among(1.0, [0.0] * 19).p == 0.05
    assert rank_among(0.0, [0.0] * 19).p == 1.0


@pytest.mark.parametrize(("value", "controls"), [(math.nan, [1.0]), (1.0, []), (1.0, [math.inf])])
def test_a_rank_among_nothing_or_of_nothing_is_refused(value, controls):
    with pytest.raises(InputError):
        rank_among(value, controls)
