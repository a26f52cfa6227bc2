"""The page for those who come from another package: our side runs and says what theirs said, and the page is as it was run."""

import copy
import json
from pathlib import Path

import pytest

import glassbook as gb
from oracles.migration import (
    GOLDEN,
    PAGE,
    TOLERANCE,
    compare,
    difference,
    left_behind,
    pairs,
    stored,
    with_table,
)

PEERS = ("transformer-lens", "nnsight", "repeng", "steering-vectors")
PAIRS, THEIRS = pairs(PAGE.read_text()), stored()
REPORT = json.loads((GOLDEN / "migration_report.json").read_text())


@pytest.mark.model
@pytest.mark.parametrize("peer", PEERS)
def test_our_side_of_the_page_leaves_behind_what_theirs_left(peer, default_model, monkeypatch):
    # The snippets open the model by its name; it is open already, so each is handed that one.
    monkeypatch.setattr(gb, "open_model", lambda name: default_model, raising=False)
    ours = left_behind(PAIRS[peer]["ours"], PAIRS[peer]["names"])
    found = compare(ours, THEIRS[peer]["results"])
    assert {name: share for name, share in found.items() if share > TOLERANCE} == {}


@pytest.mark.model
def test_control_a_vector_that_is_a_hundredth_too_strong_or_a_layer_off_is_found_out(default_model, monkeypatch):
    monkeypatch.setattr(gb, "open_model", lambda name: default_model, raising=False)
    wrong, names = PAIRS["steering-vectors"]["ours"], PAIRS["steering-vectors"]["names"]
    for before, after in (("steer=4 * vectors)[", "steer=4.04 * vectors)["), ("L10.mlp_out", "L11.mlp_out")):
        assert before in wrong
        wrong = wrong.replace(before, after)
    found = compare(left_behind(wrong, names), THEIRS["steering-vectors"]["results"])
    assert {name for name, share in found.items() if share > TOLERANCE} == {"logits", "mlp_direction"}


def test_every_pair_of_the_page_was_run_as_it_stands():
    assert tuple(PAIRS) == PEERS == tuple(REPORT) and set(THEIRS) == set(PEERS)
    for peer, pair in PAIRS.items():
        assert THEIRS[peer]["program"] == pair["theirs"], "run `make oracles` after changing their side"
        assert list(THEIRS[peer]["results"]) == pair["names"]
        assert all(f"{name} = " in pair["ours"] for name in pair["names"])
        assert 10 <= len(pair["ours"].splitlines()) <= 40


def test_the_report_covers_every_result_and_the_table_of_the_page_is_the_report():
    for peer, found in REPORT.items():
        assert list(found["differences"]) == PAIRS[peer]["names"] and max(found["differences"].values()) <= TOLERANCE
        assert found["versions"] == THEIRS[peer]["versions"]
    assert with_table(PAGE.read_text(), REPORT) == PAGE.read_text()
    worse = copy.deepcopy(REPORT)
    worse["nnsight"]["differences"]["resid"] = 0.5
    assert with_table(PAGE.read_text(), worse) != PAGE.read_text(), "the control"


def test_control_another_text_shape_or_value_is_a_difference():
    value = THEIRS["nnsight"]["results"]["resid"]
    moved = value | {"values": [value["values"][0] + 0.01 * value["largest"], *value["values"][1:]]}
    assert difference(value, value) == 0
    assert difference(moved, value) == pytest.approx(0.01)
    assert difference(value | {"shape": [1, 576]}, value) == float("inf")
    assert difference("a", "b") == difference("a", value) == float("inf") and difference("a", "a") == 0


def test_the_versions_on_the_page_are_those_that_make_oracles_installs():
    folder = Path(__file__).parents[2] / "scripts" / "oracles"
    pins = {
        line for name in ("peers", "nnsight", "steering") for line in (folder / f"{name}.txt").read_text().splitlines()
    }
    stated = {f"{name}=={number}" for found in REPORT.values() for name, number in found["versions"].items()}
    assert {line for line in stated if not line.startswith("torch==")} <= pins
