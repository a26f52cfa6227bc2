"""What must not be judged is refused by name, each beside what is judged."""

import numpy as np
import pytest

from evidence.claims import CLAIM, changed, mapped, normal_items
from glassbook.core.errors import EvidenceError, InputError
from glassbook.evidence import Comparison, Measure, Paper, Precondition, check_items, judge


def judged(items, claim=CLAIM, **how):
    return judge(claim, items, written=claim.bar_hash, **how).verdict


def test_control_whole_items_under_the_written_bar_are_judged():
    assert judged(normal_items()) == "replicated"
    assert check_items(CLAIM, normal_items()) is None


def test_a_bar_changed_after_the_run_is_refused():
    with pytest.raises(EvidenceError, match=r"'larger'.*bar was changed after the runs began.*new claim"):
        judge(changed(bar=0.5), normal_items(), written=CLAIM.bar_hash)


def test_a_bar_that_was_never_written_down_is_refused():
    with pytest.raises(EvidenceError, match="not written down"):
        judge(CLAIM, normal_items(), written=None)


DECIDES = {
    "bar": 1.1,
    "null": 0.1,
    "direction": "within",
    "measure": Measure("ours", "other"),
    "minus": Measure("plain", "score"),
    "shown_as": "exp",
    "same_items": False,
    "control": Comparison("a random direction", Measure("flipped", "score")),
    "precondition": Precondition("it can", Measure("plain", "score"), "above", 0.0),
}
SAYS = {
    "id": "other",
    "says": "Something else.",
    "unit": "bits",
    "items": "texts",
    "headline": False,
    "baseline": Comparison("nothing", Measure("other", "score")),
    "control": Comparison("said otherwise", Measure("random", "score")),
    "paper": Paper(value=3.0),
}


@pytest.mark.parametrize("field", DECIDES)
def test_the_hash_of_a_bar_covers_what_decides_the_verdict(field):
    more = {"direction": {"bar": (0.0, 1.0), "null": None}, "shown_as": {"null": 0.5}}.get(field, {})
    assert (
        changed(**{field: DECIDES[field]}, **more).bar_hash != changed(**more).bar_hash
        if field != "direction"
        else True
    )
    assert changed(**{field: DECIDES[field]}, **more).bar_hash != CLAIM.bar_hash


@pytest.mark.parametrize("field", SAYS)
def test_the_hash_of_a_bar_leaves_out_what_is_only_said(field):
    assert changed(**{field: SAYS[field]}).bar_hash == CLAIM.bar_hash


@pytest.mark.parametrize("bar", [1, np.float64(1.0)])
def test_the_same_bar_in_another_kind_of_number_has_the_same_hash(bar):
    assert changed(bar=bar).bar_hash == CLAIM.bar_hash


def test_a_seed_that_was_announced_and_is_missing_is_refused():
    items = normal_items(seeds=(0, 1, 2, 3))
    assert judged(items, seeds=range(4)) == "replicated"
    del items[2]
    with pytest.raises(EvidenceError, match=r"'larger'.*seed 2 is missing"):
        judged(items, seeds=range(4))


def test_an_arm_that_one_seed_lacks_is_refused():
    items = normal_items()
    del items[1]["random"]
    with pytest.raises(EvidenceError, match=r"'larger'.*seed 1 has no arm 'random'; it has ours, plain"):
        judged(items)


def test_a_column_that_one_seed_lacks_is_refused():
    items = normal_items()
    items[2]["ours"] = {"scroe": items[2]["ours"]["score"]}
    with pytest.raises(EvidenceError, match=r"seed 2 has no column 'score' of the arm 'ours'; it has scroe"):
        judged(items)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("arm", ["ours", "plain", "random"])
def test_an_item_that_is_no_number_is_refused_wherever_it_stands(arm, value):
    items = normal_items()
    items[1][arm]["score"][3] = value
    with pytest.raises(EvidenceError, match=rf"'larger'.*item 3 of {arm}/score at seed 1 is {value}"):
        judged(items)


@pytest.mark.parametrize("row", [[], [[1.0]], ["a"], 1.0])
def test_a_column_that_is_no_row_of_numbers_is_refused(row):
    items = normal_items()
    items[0]["ours"]["score"] = np.array(row)
    with pytest.raises(EvidenceError, match=r"seed 0 has shape .* in ours/score; give one number an item"):
        judged(items)


def test_items_that_make_no_pairs_are_refused():
    paired = changed(minus=Measure("plain", "score"))
    assert judged(normal_items(), paired) == "replicated"
    items = normal_items()
    items[2]["plain"]["score"] = items[2]["plain"]["score"][1:]
    with pytest.raises(EvidenceError, match=r"seed 2 has 12 items of ours/score and 11 of plain/score.*no pairs"):
        judged(items, paired)


def test_seeds_with_different_numbers_of_items_do_not_share_them():
    items = normal_items()
    items[2] = mapped({2: items[2]}, lambda row: row[1:])[2]
    with pytest.raises(EvidenceError, match="not the same ones"):
        judged(items)
    assert judged(items, changed(same_items=False)) == "replicated"


def test_no_items_at_all_are_refused():
    with pytest.raises(EvidenceError, match="no items of any seed"):
        judged({})


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"null": None}, "'null'.*takes the value of no effect"),
        ({"null": 2.0}, "'null'.*no effect at all would pass"),
        ({"direction": "below"}, "'null'.*no effect at all would pass"),
        ({"direction": "within"}, "'bar'.*takes two numbers"),
        ({"bar": (0.0, 1.0)}, "'bar'.*takes one number"),
        ({"direction": "within", "bar": (1.0, 0.0), "null": None}, "'bar'.*lower number first"),
        ({"direction": "within", "bar": (0.0, 1.0)}, "'null'.*leave it out"),
        ({"shown_as": "exp"}, "'null'.*as a ratio"),
        ({"shown_as": "exp", "bar": -1.0, "null": -2.0}, "'bar'.*positive"),
        ({"control": Comparison("itself", CLAIM.measure)}, "'control'.*can never fail"),
        ({"minus": CLAIM.control.measure}, "'control'.*can never pass"),
        ({"precondition": Precondition("x", CLAIM.measure, "within", 1.0)}, "'precondition.bar'.*takes two numbers"),
    ],
)
def test_a_bar_that_decides_nothing_is_refused(fields, fault):
    with pytest.raises(InputError, match=f"claim 'larger', field {fault}"):
        changed(**fields)


NO_NUMBER = [float("nan"), float("inf")]


@pytest.mark.parametrize("number", NO_NUMBER)
@pytest.mark.parametrize("field", ["bar", "null", "paper.value"])
def test_a_bar_a_null_or_a_paper_s_value_that_is_no_finite_number_is_refused(field, number):
    value = Paper(value=number) if field == "paper.value" else number
    with pytest.raises(InputError, match=rf"claim 'larger', field '{field}'.*no finite number"):
        changed(**{field.partition(".")[0]: value})


@pytest.mark.parametrize("number", NO_NUMBER)
def test_ends_to_lie_within_and_bars_of_preconditions_are_finite_too(number):
    with pytest.raises(InputError, match=r"'bar'.*no finite number"):
        changed(direction="within", bar=(-number, number), null=None)
    with pytest.raises(InputError, match=r"'precondition\.bar'.*no finite number"):
        changed(precondition=Precondition("it can", Measure("plain", "score"), "above", number))
