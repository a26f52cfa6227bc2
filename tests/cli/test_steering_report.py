"""The report shows the numbers it was given, marks what was touched, and never praises what does not stand out."""

import json
import math
from dataclasses import replace

import pytest

from conformance.tiny import tiny_model
from glassbook.cli.steering_report import (
    Steered,
    compare_view,
    effect_view,
    report_sections,
    report_verdict,
    report_views,
)
from glassbook.models.generation import Completion
from glassbook.steering.comparison import Effect, Trial
from glassbook.steering.recipes import actadd
from glassbook.views.page import Making, render_page

STRONG = Effect(
    label="strong", unsteered=[0.0, 1.0], steered=[2.0, 4.0], flipped=[-1.0, 0.0], randoms=[[0.5, 1.5], [-1.0, 1.0]] * 10,
    prompted=[1.0, 1.0], instruction="Be kind. ",
)  # fmt: skip
WEAK = Effect(
    label="weak", unsteered=[0.0], steered=[0.1], flipped=[0.3], randoms=[[0.5], [0.6]], prompted=None, instruction=""
)


def trial(label, tokens, touched, perplexity):
    return Trial(label, Completion([261, 72, 73], tokens, "x", "length", touched), perplexity)


def steered(effect, perplexity=4.0):
    vector = actadd(tiny_model(), "Love", "Hate", "L1.resid_pre") * 2.0
    plain = trial("unsteered", [74, 75], [False] * 5, 3.0)
    pushed = trial("steered", [76], [False, True, True, False], perplexity)
    label = effect.label if effect else "nothing"
    ratio = 1.25 if effect else None
    return Steered(label=label, vector=vector, trials=[(plain, pushed)], effect=effect, ratio=ratio)


def test_the_comparison_puts_the_unsteered_text_first_and_marks_the_touched_tokens():
    one = steered(STRONG)
    view = compare_view(tiny_model(), one, one.trials[0])
    assert [column.label for column in view.completions] == ["unsteered", "steered"]
    assert [column.strength for column in view.completions] == [0.0, 2.0]
    assert [column.touched for column in view.completions] == [(), (1, 2)]
    assert [column.fluency for column in view.completions] == [3.0, 4.0]
    assert "L1.resid_pre" in view.caption


def test_the_effect_stands_beside_every_control_as_a_shift_from_the_unsteered_model():
    view = effect_view(steered(STRONG), STRONG)
    assert (view.steered, view.flipped, view.prompt_only, view.unsteered) == (2.5, -1.0, 0.5, 0.0)
    assert view.randoms == (0.5, -0.5) * 10
    assert view.n_items == 2
    assert "Be kind." in view.caption
    assert "no instruction was tried" in effect_view(steered(WEAK), WEAK).caption


def test_the_verdict_is_held_only_where_every_measured_effect_stands_out():
    strong, weak, mute = steered(STRONG), steered(WEAK), steered(None)
    outcomes = [report_verdict(results) for results in ([strong], [weak], [strong, weak], [strong, mute], [mute])]
    assert [verdict and verdict.outcome for verdict in outcomes] == ["held", "not held", "unclear", "held", None]
    assert "This is a defeat" in outcomes[1].sentence and "This is a defeat" not in outcomes[0].sentence


def test_an_effect_that_loses_to_an_instruction_or_lacks_controls_is_not_called_held():
    outdone = replace(STRONG, prompted=[5.0, 5.0])
    assert outdone.works and outdone.loses_to_prompting and not STRONG.loses_to_prompting
    untried, few = replace(STRONG, prompted=None), replace(STRONG, randoms=STRONG.randoms[:18])
    assert untried.works and few.works and report_verdict([steered(STRONG)]).outcome == "held"
    assert [report_verdict([steered(one)]).outcome for one in (outdone, untried, few)] == ["unclear"] * 3
    assert "lost to a plain instruction" in report_verdict([steered(outdone), steered(WEAK)]).sentence


def test_what_was_not_measured_has_no_picture_and_no_claim():
    results = [steered(None)]
    assert set(report_views(tiny_model(), results)) == {"completions-0-0", "vectors"}
    headings = [section.heading for section in report_sections(tiny_model(), results)]
    assert headings == ["What the model wrote", "How the vectors were made"]
    assert results[0].sentence == "nothing: no effect was measured, so nothing can be said of one."


def test_several_vectors_share_one_page_and_one_table():
    results = [steered(STRONG), steered(WEAK)]
    views = report_views(tiny_model(), results)
    assert [row[0] for row in views["effects"].rows] == ["strong", "weak"]
    assert [row[-1] for row in views["effects"].rows] == [True, False]
    sections = report_sections(tiny_model(), results)
    page = render_page("t", "l", sections, {}, Making({}), report_verdict(results))
    assert all(view.html() in page for view in views.values())


def test_numbers_that_json_cannot_write_become_words_and_all_others_stay():
    said = steered(STRONG, perplexity=math.nan).to_dict()
    assert said["trials"][0][1]["perplexity"] == "NaN"
    back = json.loads(json.dumps(said, allow_nan=False))
    assert back["effect"]["steered_shift"] == pytest.approx(2.5)
    assert back["perplexity_ratio"] == 1.25
    assert back["vector"]["made"]["recipe"] == "actadd"
