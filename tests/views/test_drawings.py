"""What the drawings say is what the data say: scales, ranks, links, totals."""

import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.views import AttentionGrid, Completion, ControlDistribution, HeatMap, LineChart, Series, TokenStrip
from glassbook.views.scales import fit_scale
from views.html_checks import text_of
from views.samples import SAMPLES

NUMBERS = st.floats(allow_nan=False, min_value=-1e300, max_value=1e300)


@given(st.lists(NUMBERS, max_size=20), st.booleans())
def test_a_scale_holds_every_value_and_its_ticks_rise(values, tight):
    scale = fit_scale(values, tight=tight)
    slack = 1e-6
    assert all(-slack <= scale.place(value) <= 100 + slack for value in values)
    assert all(-slack <= scale.place(tick) <= 100 + slack for tick in scale.ticks)
    assert 2 <= len(scale.ticks) <= 12 and list(scale.ticks) == sorted(set(scale.ticks))
    assert len(scale.names) == len(scale.ticks)


def test_a_scale_ends_on_round_numbers_and_a_tight_one_on_the_data():
    assert fit_scale([0.1, 2.9]).names == ["0", "1", "2", "3"]
    assert fit_scale([0.013, 0.021]).names == ["0.012", "0.014", "0.016", "0.018", "0.020", "0.022"]
    tight = fit_scale([0, 12], tight=True)
    assert (tight.low, tight.high, tight.ticks[-1]) == (0, 12, 10)


def test_a_value_outside_the_data_would_lie_outside_the_scale():
    assert fit_scale([0.0, 1.0]).place(2.0) > 100


def controls(**changes) -> ControlDistribution:
    bare = {"steered_range": (), "flipped_range": (), "prompt_range": ()}
    return msgspec.structs.replace(SAMPLES["control-distribution"], **bare | changes)


def test_the_rank_counts_random_directions_that_ours_beats():
    assert "beats 2 of 4 random directions" in controls(steered=2.0, randoms=[0.0, 1.0, 2.0, 3.0]).rank()
    assert "p\u00a0=\u00a00.600" in controls(steered=2.0, randoms=[0.0, 1.0, 2.0, 3.0]).rank()
    assert "beats 4 of 4" in controls(steered=3.5, randoms=[0.0, 1.0, 2.0, 3.0]).rank()


def test_the_finding_says_when_prompting_did_better_and_only_then():
    assert "Prompting alone did at least as well" in controls(prompt_only=5.0, steered=2.0).rank()
    assert "Prompting" not in controls(prompt_only=1.0, steered=2.0).rank()
    assert "Prompting" not in controls(prompt_only=None).rank()


def test_a_missing_effect_has_no_rank():
    assert "has no rank" in controls(steered=math.nan).rank()
    assert "has no rank" in controls(randoms=[math.nan]).rank()


def test_a_mark_stands_where_its_value_lies():
    html = controls(unsteered=0.0, steered=2.0, flipped=-2.0, prompt_only=1.0, randoms=[0.0]).html()
    marks = re.findall(r'x="([\d.]+)%"[^>]*><path d="[^"]*" class="marker (\w+)', html)
    places = {kind: float(place) for place, kind in marks}
    assert places == {"ours": 100.0, "flipped": 0.0, "prompt": 75.0, "random": 50.0, "unsteered": 50.0}


def test_every_random_direction_is_drawn_and_what_is_not_is_counted():
    html = controls(randoms=[0.1, 0.2, math.nan, 0.3]).html()
    assert html.count('class="marker random"') == 3
    assert "1 of the effects is missing or not finite and is not drawn" in html


def test_bars_are_as_long_as_their_values_and_negative_ones_are_striped():
    html = TokenStrip(title="t", caption="c", tokens=["a", "b", "c"], values=[1.0, -0.5, math.nan]).html()
    assert re.findall(r'class="bar (\w+)"[^>]*><span style="width:([\d.]+)%', html) == [
        ("positive", "100.0"),
        ("negative", "50.0"),
    ]
    assert "1 of the values is missing or not finite" in html


def test_touched_tokens_are_marked_by_form_and_counted_in_words():
    strip = TokenStrip(title="t", caption="c", tokens=["a", "b"], marks=[True, False])
    assert strip.html().count('class="touched"') == 1
    assert "touched (1 of 2 tokens)" in text_of(strip.html())
    assert 'class="touched"' not in TokenStrip(title="t", caption="c", tokens=["a", "b"], marks=[False, False]).html()


def test_a_comparison_says_which_tokens_were_touched_in_prompt_and_completion():
    completion = Completion(label="x", strength=1.0, tokens=["c", "d"], touched=[0, 2, 3])
    view = msgspec.structs.replace(SAMPLES["steer-compare"], prompt=["a", "b"], completions=[completion])
    assert "1 prompt and 2 written tokens touched" in text_of(view.html())
    assert view.html().count('class="touched"') == 3


def test_a_gap_in_the_data_is_a_gap_in_the_line():
    whole, broken = ([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, math.nan, 3.0, 4.0])
    charts = [
        LineChart(title="t", caption="c", series=[Series(name="s", x=range(5), y=y)], x_label="x", y_label="y")
        for y in (whole, broken)
    ]
    assert [chart.html().count("<polyline") for chart in charts] == [1, 2]
    assert "1 of the points is missing or not finite" in charts[1].html()
    assert "missing" not in charts[0].html()


def test_a_heat_map_tints_by_sign_and_prints_every_number():
    view = HeatMap(
        title="t", caption="c", row_axis="layer", column_axis="strength", rows=["L0"], columns=["1", "2", "4"],
        values=[[2.0, -1.0, math.nan]],
    )  # fmt: skip
    cells = re.findall(r'<td class="(above|below)" style="--tint:([\d.]+)%">([^<]+)', view.html())
    assert cells == [("above", "60.0", "2.00"), ("below", "30.0", "−1.00")]
    assert "not a number" in view.html()


def attention(tokens, pattern) -> AttentionGrid:
    return AttentionGrid(title="t", caption="c", tokens=tokens, pattern=pattern)


def test_the_area_of_a_link_is_its_attention():
    html = attention(["a", "b"], [[1.0, 0.0], [0.75, 0.25]]).html()
    sides = [float(side) for side in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', html)]
    assert [round((side / sides[0]) ** 2, 2) for side in sides] == [1.0, 0.75, 0.25]
    assert "b (1) reads a (0): 0.75" in text_of(html)


def test_a_causal_pattern_has_a_staircase_and_one_that_looks_ahead_a_square():
    causal, ahead = attention(["a", "b"], [[1.0, 0.0], [0.5, 0.5]]), attention(["a", "b"], [[0.5, 0.5], [0.5, 0.5]])
    steps = [len(re.findall("h-", re.search(r'<path d="([^"]+)"', view.html())[1])) for view in (causal, ahead)]
    assert steps == [2, 1]


@pytest.mark.parametrize(("n_tokens", "n_drawn"), [(8, 8), (64, 64), (200, 64)])
def test_of_a_long_text_the_last_tokens_are_drawn_and_the_page_says_so(n_tokens, n_drawn):
    tokens = [f"t{index}" for index in range(n_tokens)]
    html = attention(tokens, [[float(key == query) for key in range(n_tokens)] for query in range(n_tokens)]).html()
    assert html.count("<rect") == n_drawn
    assert (f"Of {n_tokens} tokens the last 64 are drawn" in html) is (n_tokens > 64)


def test_costs_add_up_but_peaks_do_not():
    total = SAMPLES["costs"].total()
    assert total.wall_s == pytest.approx(8.96)
    assert total.peak_mb == 960.5
    assert total.flop == pytest.approx(3.71e11)
    assert "Operations were not counted for open the model" in SAMPLES["costs"].html()
