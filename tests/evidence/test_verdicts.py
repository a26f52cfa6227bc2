"""The laws of verdicts: what they depend on, what they do not, and what turns them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.claims import CLAIM, MIRRORED, changed, mapped, normal_items
from glassbook.evidence import VERDICTS, Comparison, Measure, Precondition, judge, judge_all

FEW = settings(max_examples=12, deadline=None)
VALUES = st.floats(-4, 4, allow_nan=False).map(lambda value: round(value, 2))


@st.composite
def any_items(draw):
    """Items of the three arms that every seed shares, with many ties."""
    seeds, n = draw(st.integers(3, 4)), draw(st.integers(1, 6))
    row = st.lists(VALUES, min_size=n, max_size=n).map(np.array)
    return {seed: {arm: {"score": draw(row)} for arm in ("ours", "plain", "random")} for seed in range(seeds)}


def verdict_of(claim, items):
    return judge(claim, items, written=claim.bar_hash).verdict


def bits_of(claim, items):
    found = judge(claim, items, written=claim.bar_hash)
    return found.verdict, found.interval, found.control, found.baseline, sorted(found.each_seed.values())


@FEW
@given(
    any_items(), st.sampled_from(["above", "below"]), st.booleans(), st.booleans(), st.randoms(use_true_random=False)
)
def test_neither_the_order_of_items_nor_the_names_of_seeds_change_a_bit(items, direction, paired, shared, random):
    minus = Measure("plain", "score") if paired else None
    sign = 1 if direction == "above" else -1
    claim = changed(direction=direction, bar=sign * 0.5, same_items=shared, minus=minus)
    order = random.sample(range(len(items[0]["ours"]["score"])), len(items[0]["ours"]["score"]))
    names = random.sample(range(10, 30), len(items))
    moved = dict(zip(names, mapped(items, lambda row: row[order]).values(), strict=True))
    assert bits_of(claim, moved) == bits_of(claim, items)


def test_control_columns_that_are_paired_and_moved_apart_are_not_the_same():
    claim, items = changed(minus=Measure("plain", "score")), normal_items()
    apart = mapped(items, lambda row: row[::-1], arms=("plain",))
    assert bits_of(claim, apart) != bits_of(claim, items)


def test_the_order_of_items_is_forgotten_where_seeds_differ_only_in_it():
    rows = [[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    items = {
        seed: {arm: {"score": np.array(row)} for arm in ("ours", "plain", "random")} for seed, row in enumerate(rows)
    }
    claim = changed(control=Comparison("zeros", Measure("plain", "score"), minus=Measure("plain", "score")))
    found = bits_of(claim, items)
    for order in ([3, 1, 0, 2], [2, 3, 1, 0]):
        for first, second, third in ((2, 0, 1), (1, 2, 0), (1, 0, 2)):
            moved = mapped({0: items[first], 1: items[second], 2: items[third]}, lambda row, o=order: row[o])
            assert bits_of(claim, moved) == found


@FEW
@given(any_items(), VALUES, st.floats(0, 2).map(lambda value: round(value, 2)))
def test_turning_the_sign_with_the_direction_gives_the_same_verdict(items, bar, distance):
    for direction, null in (("above", bar - distance), ("below", bar + distance)):
        claim = changed(direction=direction, bar=bar, null=null)
        mirror = changed(direction=MIRRORED[direction], bar=-bar, null=-null)
        assert verdict_of(mirror, mapped(items, np.negative)) == verdict_of(claim, items)


def test_control_turning_the_sign_alone_turns_the_verdict():
    assert verdict_of(CLAIM, normal_items()) == "replicated"
    assert verdict_of(CLAIM, mapped(normal_items(), np.negative)) == "not replicated"


@FEW
@given(any_items(), st.sampled_from(["above", "below"]), st.booleans())
def test_far_beyond_the_bar_is_replicated_and_far_on_the_wrong_side_is_not(items, direction, exponentiated):
    sign = 1 if direction == "above" else -1
    scale = (
        {"bar": float(np.exp(sign)), "null": 1.0, "shown_as": "exp"} if exponentiated else {"bar": sign, "null": 0.0}
    )
    claim = changed(direction=direction, **scale)
    failing = mapped(items, lambda row: row - 20.0 * sign, arms=("random",))
    assert verdict_of(claim, mapped(failing, lambda row: row + 20.0 * sign, arms=("ours",))) == "replicated"
    assert verdict_of(claim, mapped(failing, lambda row: row - 20.0 * sign, arms=("ours",))) == "not replicated"


@FEW
@given(any_items())
def test_within_its_bar_is_replicated_and_outside_on_either_side_is_not(items):
    claim = changed(direction="within", bar=(-5.0, 5.0), null=None)
    failing = mapped(items, lambda row: row + 40.0, arms=("random",))
    assert verdict_of(claim, failing) == "replicated"
    for shift in (20.0, -20.0):
        assert verdict_of(claim, mapped(failing, lambda row, s=shift: row + s, arms=("ours",))) == "not replicated"


@FEW
@given(any_items(), st.floats(0, 3).map(lambda value: round(value, 2)))
def test_a_harder_bar_never_makes_a_better_verdict(items, harder):
    order = {"not replicated": 0, "inconclusive": 1, "direction only": 2, "replicated": 3}
    failing = mapped(items, lambda row: row - 40.0, arms=("random",))
    easy, hard = (order[verdict_of(changed(bar=bar), failing)] for bar in (0.5, 0.5 + harder))
    assert hard <= easy


def test_a_planted_wrong_result_turns_the_verdict():
    right = normal_items()
    assert verdict_of(CLAIM, right) == "replicated"
    for wrong, verdict in ((0.6, "not replicated"), (0.0, "not replicated"), (0.97, "direction only")):
        assert verdict_of(CLAIM, normal_items(ours=wrong)) == verdict


def test_one_planted_seed_on_the_other_side_takes_the_replication_away():
    items = normal_items(ours=4.0, seeds=range(8))
    assert verdict_of(CLAIM, items) == "replicated"
    planted = {**items, 5: mapped({5: items[5]}, lambda row: row - 4.3, arms=("ours",))[5]}
    found = judge(CLAIM, planted, written=CLAIM.bar_hash)
    assert found.interval.lies_above(1.0) and found.each_seed[5] < 0
    assert found.verdict == "direction only"
    assert "seed 5" in found.because


def test_an_interval_that_includes_bar_and_null_says_nothing():
    wide = normal_items(ours=0.6, n=4, spread=2.5)
    found = judge(CLAIM, wide, written=CLAIM.bar_hash)
    assert found.interval.low < 0 < 1 < found.interval.high
    assert found.verdict == "inconclusive"


def test_an_interval_across_one_end_of_what_it_should_lie_within_says_nothing():
    claim = changed(direction="within", bar=(1.5, 2.0), null=None)
    assert verdict_of(claim, normal_items()) == "inconclusive"


def test_a_control_that_passes_the_bar_too_makes_the_claim_not_testable():
    found = judge(CLAIM, normal_items(control=2.0), written=CLAIM.bar_hash)
    assert found.verdict == "not testable"
    assert "control" in found.because and CLAIM.control.says in found.because


def test_a_control_excuses_no_result_that_misses_the_bar():
    assert verdict_of(CLAIM, normal_items(ours=0.0, control=2.0)) == "not replicated"


@pytest.mark.parametrize(("needed", "verdict"), [(1.0, "replicated"), (2.5, "not testable"), (2.0, "not testable")])
def test_a_precondition_must_be_shown_to_hold(needed, verdict):
    wanted = Precondition("the model can do the task", Measure("ours", "score"), "above", needed)
    found = judge(changed(precondition=wanted), normal_items(), written=changed(precondition=wanted).bar_hash)
    assert found.verdict == verdict
    assert (wanted.says in found.because) == (verdict == "not testable")


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_fewer_than_three_seeds_have_no_verdict_but_their_numbers(n_seeds):
    found = judge(CLAIM, normal_items(seeds=range(n_seeds)), written=CLAIM.bar_hash)
    assert found.verdict is None
    assert len(found.each_seed) == n_seeds and found.interval.estimate == pytest.approx(2, abs=0.3)
    assert "a verdict takes 3" in found.because


def test_control_three_seeds_have_one():
    assert verdict_of(CLAIM, normal_items(seeds=range(3))) in VERDICTS


def test_one_value_a_seed_is_judged_over_seeds_alone():
    def alone(*values):
        return {
            seed: {
                arm: {"score": np.array([number])} for arm, number in (("ours", value), ("plain", 0.0), ("random", 0.0))
            }
            for seed, value in enumerate(values)
        }

    found = judge(CLAIM, alone(1.8, 2.0, 2.2), written=CLAIM.bar_hash)
    assert found.verdict == "replicated"
    assert 1.8 <= found.interval.low < 2.0 < found.interval.high <= 2.2
    assert verdict_of(CLAIM, alone(1.8, 2.0, 0.2)) == "direction only"


def test_what_is_shown_as_exp_is_the_exponential_of_its_mean():
    plain = judge(CLAIM, normal_items(), written=CLAIM.bar_hash)
    claim = changed(shown_as="exp", bar=float(np.e), null=1.0)
    ratio = judge(claim, normal_items(), written=claim.bar_hash)
    assert ratio.verdict == plain.verdict == "replicated"
    assert np.log([ratio.interval.estimate, ratio.interval.low, ratio.interval.high]) == pytest.approx(
        [plain.interval.estimate, plain.interval.low, plain.interval.high]
    )
    assert np.log(list(ratio.each_seed.values())) == pytest.approx(list(plain.each_seed.values()))


def test_what_is_subtracted_is_paired_and_stands_by_itself_as_baseline():
    claim = changed(minus=Measure("plain", "score"), baseline=Comparison("plain", Measure("plain", "score")))
    items = normal_items()
    found = judge(claim, items, written=claim.bar_hash)
    plain = np.mean([row["plain"]["score"].mean() for row in items.values()])
    ours = np.mean([row["ours"]["score"].mean() for row in items.values()])
    random = np.mean([row["random"]["score"].mean() for row in items.values()])
    assert found.interval.estimate == pytest.approx(ours - plain)
    assert found.control.estimate == pytest.approx(random - plain)
    assert found.baseline.estimate == pytest.approx(plain)


@FEW
@given(any_items(), st.floats(-3, 3))
def test_columns_that_a_claim_does_not_name_change_nothing(items, other):
    more = {seed: {**row, "other": {"score": np.full(3, other)}} for seed, row in items.items()}
    more = {seed: {**row, "ours": {**row["ours"], "time": np.full(2, other)}} for seed, row in more.items()}
    assert judge(CLAIM, more, written=CLAIM.bar_hash) == judge(CLAIM, items, written=CLAIM.bar_hash)


def test_judging_all_judges_each_by_its_own_bar():
    harder = changed(id="much-larger", bar=3.0)
    written = {one.id: one.bar_hash for one in (CLAIM, harder)}
    found = judge_all([CLAIM, harder], normal_items(), written=written)
    assert {name: one.verdict for name, one in found.items()} == {
        "larger": "replicated",
        "much-larger": "not replicated",
    }
    assert found["larger"] == judge(CLAIM, normal_items(), written=CLAIM.bar_hash)


def test_a_judgement_becomes_plain_json_with_infinite_ends_in_words():
    found = judge(CLAIM, normal_items(seeds=[7]), written=CLAIM.bar_hash).to_dict()
    assert found["interval"]["low"] == "-Infinity" and found["verdict"] is None
    assert list(found["each_seed"]) == ["7"]
