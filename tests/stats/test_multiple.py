"""What is left of a p among many: the rules as their authors state them, and chance that is not fooled by many tries."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.stats import benjamini_hochberg, holm, permutation_test, permutation_test_family

P_VALUES = st.lists(
    st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.05, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=12
)
RULES = pytest.mark.parametrize("rule", [holm, benjamini_hochberg])
FEW = st.lists(st.lists(st.integers(-4, 4).map(float), min_size=4, max_size=4), min_size=1, max_size=3)


def rejected_by_holm(p: list[float], bound: float) -> set[int]:
    """Return what the step-down rule rejects, as Holm states it: from the smallest p on, until one exceeds its share."""
    rejected: set[int] = set()
    for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - step) > bound:
            break
        rejected.add(i)
    return rejected


def rejected_by_benjamini_hochberg(p: list[float], bound: float) -> set[int]:
    """Return what the step-up rule rejects: all up to the last p that keeps below its share of the bound."""
    order = sorted(range(len(p)), key=p.__getitem__)
    last = max((rank for rank, i in enumerate(order, 1) if p[i] * (len(p) / rank) <= bound), default=0)
    return set(order[:last])


@given(P_VALUES, st.floats(0.001, 0.999))
def test_holm_rejects_below_a_bound_what_its_step_down_rule_rejects(p, bound):
    assert set(np.flatnonzero(holm(p) <= bound)) == rejected_by_holm(p, bound)


@given(P_VALUES, st.floats(0.001, 0.999))
def test_benjamini_hochberg_rejects_below_a_bound_what_its_step_up_rule_rejects(p, bound):
    assert set(np.flatnonzero(benjamini_hochberg(p) <= bound)) == rejected_by_benjamini_hochberg(p, bound)


@given(P_VALUES)
def test_no_rule_is_less_careful_than_none_and_none_more_careful_than_bonferroni(p):
    alone, shared = np.array(p), np.minimum(1, np.array(p) * len(p))
    assert (alone <= benjamini_hochberg(p)).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()
    assert (holm(p) <= shared + 1e-12).all()


@RULES
@given(p=P_VALUES, data=st.data())
def test_the_order_of_the_tests_does_not_matter_and_that_of_their_p_is_kept(rule, p, data):
    order = data.draw(st.permutations(range(len(p))))
    assert rule(np.array(p)[order]).tolist() == rule(p)[order].tolist()
    assert (np.diff(rule(p)[np.argsort(p, kind="stable")]) >= 0).all()


def test_one_test_keeps_its_p_and_three_are_adjusted_as_by_hand():
    assert holm([0.03]).tolist() == benjamini_hochberg([0.03]).tolist() == [0.03]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@RULES
@pytest.mark.parametrize("p", [[], [0.1, math.nan], [-0.01], [1.01], [[0.1, 0.2]]])
def test_what_is_no_p_is_refused(rule, p):
    with pytest.raises(InputError):
        rule(p)


def false_alarms(adjust, n_tests: int = 20, n_families: int = 400) -> float:
    """Return how often at least one of many tests of nothing falls below 0.05."""
    draw = np.random.default_rng(0)
    return float(np.mean([(adjust(draw.random(n_tests)) <= 0.05).any() for _ in range(n_families)]))


def test_under_chance_alone_a_family_raises_a_false_alarm_no_more_often_than_its_bound():
    assert false_alarms(holm) < 0.08
    assert false_alarms(benjamini_hochberg) < 0.08
    # Control: without a rule, twenty tries make one almost sure.
    assert false_alarms(lambda p: p) > 0.5


def by_enumeration(ours, theirs, alternative: str) -> list[float]:
    """Return the p of each test by trying every exchange of signs and taking the largest of all tests."""
    gaps = np.array(ours) - np.array(theirs)
    units = np.sqrt((gaps**2).mean(axis=1))
    units[units == 0] = 1
    signs = np.array(list(product((1, -1), repeat=gaps.shape[1])))
    turn = {"greater": lambda x: x, "less": lambda x: -x, "two-sided": np.abs}[alternative]
    drawn = turn(signs @ gaps.T / gaps.shape[1] / units).max(axis=1)
    return [float((drawn >= one - 1e-9).mean()) for one in turn(gaps.mean(axis=1) / units)]


@settings(max_examples=50)
@given(FEW, st.data(), st.sampled_from(["greater", "less", "two-sided"]))
def test_the_maximum_of_a_small_family_is_that_of_every_exchange(ours, data, alternative):
    theirs = data.draw(
        st.lists(
            st.lists(st.integers(-4, 4).map(float), min_size=4, max_size=4), min_size=len(ours), max_size=len(ours)
        )
    )
    found = permutation_test_family(ours, theirs, seed=0, paired=True, alternative=alternative)
    assert found.exact and found.n_permutations == 16
    assert found.p == pytest.approx(by_enumeration(ours, theirs, alternative))


@pytest.mark.parametrize("paired", [True, False])
@settings(max_examples=30)
@given(rows=FEW, data=st.data())
def test_a_test_alone_is_the_permutation_test_and_in_a_family_never_has_a_smaller_p(paired, rows, data):
    theirs = data.draw(
        st.lists(
            st.lists(st.integers(-4, 4).map(float), min_size=4, max_size=4), min_size=len(rows), max_size=len(rows)
        )
    )
    found = permutation_test_family(rows, theirs, seed=0, paired=paired)
    for one, a, b, together in zip(found.alone, rows, theirs, found.p, strict=True):
        assert one == pytest.approx(permutation_test(a, b, seed=0, paired=paired).p)
        assert one <= together <= 1


@pytest.mark.parametrize("paired", [True, False])
def test_a_test_told_twice_or_in_another_unit_costs_nothing(paired):
    draw = np.random.default_rng(1)
    ours, theirs = draw.normal(0.4, 1, (2, 12)), draw.normal(0, 1, (2, 12))
    once = permutation_test_family(ours, theirs, seed=0, paired=paired, n_permutations=2000)
    twice = permutation_test_family(
        np.vstack([ours, 1000 * ours]), np.vstack([theirs, 1000 * theirs]), seed=0, paired=paired, n_permutations=2000
    )
    assert twice.p == pytest.approx([*once.p, *once.p])
    # Control: Holm does not know that they are the same, and pays for them.
    assert holm([*once.alone, *once.alone]).min() > holm(once.alone).min()


def planted(paired: bool, size: float) -> list[float]:
    """Return the p of ten tests over thirty items, the fourth of which has an effect."""
    draw = np.random.default_rng(2)
    ours, theirs = draw.normal(0, 1, (10, 30)), draw.normal(0, 1, (10, 30))
    ours[3] += size
    return permutation_test_family(ours, theirs, seed=0, paired=paired, n_permutations=2000).p


@pytest.mark.parametrize("paired", [True, False])
def test_a_planted_effect_is_found_and_its_neighbors_stay_quiet(paired):
    found, control = planted(paired, 1.5), planted(paired, 0.0)
    assert found[3] < 0.01 and min(found[:3] + found[4:]) > 0.05
    assert min(control) > 0.05


def test_under_chance_alone_the_maximum_keeps_to_its_bound_and_single_tests_do_not():
    draw = np.random.default_rng(3)
    tests = [
        permutation_test_family(*draw.normal(0, 1, (2, 15, 8)), seed=i, paired=True, n_permutations=256)
        for i in range(150)
    ]
    assert np.mean([min(one.p) <= 0.05 for one in tests]) < 0.10
    assert np.mean([min(one.alone) <= 0.05 for one in tests]) > 0.3


def test_equal_values_say_nothing_and_the_seed_is_all_the_chance_there_is():
    flat = permutation_test_family([[0.1] * 5], [[0.3] * 5], seed=0, paired=False)
    assert flat.p == [1 / 126] or flat.p[0] <= 2 / 126
    assert permutation_test_family([[0.1] * 5], [[0.1] * 5], seed=0, paired=False).p == [1.0]
    draw = np.random.default_rng(4)
    ours, theirs = draw.normal(0.3, 1, (3, 20)), draw.normal(0, 1, (3, 20))
    first, again, other = (
        permutation_test_family(ours, theirs, seed=seed, paired=True, n_permutations=500).alone for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("ours", "theirs", "paired"),
    [
        ([], [], True),
        ([[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], True),
        ([[1.0, 2.0]], [[1.0]], True),
        ([[1.0, 2.0], [1.0]], [[1.0, 2.0], [1.0]], True),
        ([[1.0, math.nan]], [[1.0, 2.0]], True),
    ],
)
def test_tables_that_do_not_fit_are_refused(ours, theirs, paired):
    with pytest.raises(InputError):
        permutation_test_family(ours, theirs, seed=0, paired=paired)
