"""Where a sweep's numbers stand: cells marked by form and in words, points at their places, lines at their values."""

import re

import msgspec
import pytest

from glassbook.views import Frontier, LineChart, Point, Series, SweepMap, Threshold
from glassbook.views.scales import fit_log_scale
from views.html_checks import text_of
from views.samples import SAMPLES


def sweep(**changes) -> SweepMap:
    plain = {"rows": ["L0", "L1"], "columns": ["1", "2"], "budget": 1.1, "chosen": None, "neighbors": ()}
    plain |= {"effects": [[1.0, -2.0], [0.0, 0.5]], "costs": [[1.0, 1.2], [1.05, 4.0]]}
    return msgspec.structs.replace(SAMPLES["sweep-map"], **plain | changes)


def cells(html: str) -> list[tuple[str, str]]:
    return re.findall(r'<td class="([^"]*)"[^>]*>([^<]*)', html)


def test_effects_are_tinted_around_zero_and_costs_from_one_to_two():
    found = re.findall(r'<td class="(?:over )?(above|below|dear)" style="--tint:([\d.]+)%">([^<]+)', sweep().html())
    assert found[:4] == [
        ("above", "30.0", "1.00"),
        ("below", "60.0", "−2.00"),
        ("above", "0.0", "0.00"),
        ("above", "15.0", "0.50"),
    ]
    costs = {digits: float(share) for kind, share, digits in found[4:]}
    assert costs["1.00"] == 0.0 and costs["4.00"] == 60.0 and 0 < costs["1.05"] < costs["1.20"] < 60.0


def test_a_cell_over_the_budget_is_marked_in_both_panels_by_form_and_in_words():
    html = sweep().html()
    assert [digits for kinds, digits in cells(html) if "over" in kinds.split()] == ["−2.00", "0.50", "1.20", "4.00"]
    assert text_of(html).count("(over budget)") == 4
    assert "over budget" not in text_of(sweep(budget=None).html())


def test_the_chosen_cell_and_its_neighbors_are_marked_in_both_panels_by_form_and_in_words():
    html = sweep(chosen=(0, 0), neighbors=[(0, 1)]).html()
    assert [digits for kinds, digits in cells(html) if "chosen" in kinds.split()] == ["1.00", "1.00"]
    assert [digits for kinds, digits in cells(html) if "neighbor" in kinds.split()] == ["−2.00", "1.20"]
    assert text_of(html).count("(chosen)") == 2 and "Outlined: the chosen cell" in text_of(html)
    assert "chosen" not in text_of(sweep().html())


def test_a_cell_that_failed_says_why_once_beneath_the_map():
    said = "the function raised ValueError"
    html = sweep(effects=[[1.0, said], [said, "another reason"]]).html()
    assert [digits for kinds, digits in cells(html) if "fault" in kinds.split()] == ["✗1", "✗1", "✗2"]
    assert text_of(html).count(said) == 1 and "✗2 another reason" in text_of(html)
    assert "✗" not in text_of(sweep().html())


def test_an_infinite_cost_is_over_every_budget_and_no_fault():
    html = sweep(costs=[[1.0, float("inf")], [1.0, float("nan")]]).html()
    assert text_of(html).count("(over budget)") == 2
    assert "✗" not in text_of(html) and "∞" in text_of(html) and "not a number" in text_of(html)


def test_each_panel_is_a_table_with_a_name_and_heads_for_rows_and_columns():
    html = sweep().html()
    assert re.findall(r"<caption>([^<]+)", html) == ["Effect (nats)", "Perplexity ratio"]
    assert html.count('scope="row"') == 4


def price(**changes) -> Frontier:
    points = [
        Point(name=f"p{i}", effect=e, cost=c)
        for i, (e, c) in enumerate([(0.0, 1.0), (1.0, 1.1), (0.5, 1.2), (2.0, 9.0)])
    ]
    plain = {"points": points, "frontier": [0, 1, 3], "chosen": 1, "budget": 1.1, "prompting": None, "randoms": ()}
    return msgspec.structs.replace(SAMPLES["frontier"], **plain | changes)


def marks(html: str) -> list[tuple[float, float, str, str]]:
    drawing = html[html.index('class="plot"') :]
    found = re.findall(
        r'<svg x="([\d.]+)%" y="([\d.]+)%"[^>]*><path d="[^"]*" class="marker ([\w-]+)"><title>(\w+)', drawing
    )
    return [(float(x), float(y), kind, name) for x, y, kind, name in found]


def test_a_point_of_more_effect_stands_higher_and_one_of_more_cost_further_right_up_to_the_edge():
    places = {name: (x, y) for x, y, _, name in marks(price().html())}
    assert places["p0"][0] < places["p1"][0] < places["p2"][0] < places["p3"][0] == 100.0
    assert places["p3"][1] < places["p1"][1] < places["p2"][1] < places["p0"][1]
    assert "1 of the points cost more than" in text_of(price().html())


def test_dominated_cells_random_directions_and_the_chosen_one_have_forms_of_their_own():
    html = price(randoms=[Point(name="r0", effect=0.1, cost=1.01)]).html()
    assert {name: kind for _, _, kind, name in marks(html)} == {
        "p0": "ours", "p1": "ours", "p2": "cell", "p3": "ours", "r0": "random",
    }  # fmt: skip
    assert re.search(r'class="label strong">p1<', html)
    assert html.count("<polyline") == 1


def test_prompting_is_a_line_without_a_cost_and_a_mark_with_one():
    line = price(prompting=Point(name="prompting", effect=1.5, cost=None)).html()
    mark = price(prompting=Point(name="prompting", effect=1.5, cost=1.05)).html()
    assert line.count('class="threshold"') == 2 and not any(kind == "prompt" for _, _, kind, _ in marks(line))
    assert mark.count('class="threshold"') == 1 and any(kind == "prompt" for _, _, kind, _ in marks(mark))


def test_the_finding_counts_the_cells_within_the_budget_and_names_the_chosen_one():
    assert "4 cells, 2 within the budget of 1.1; chosen: p1, effect 1 nats at a cost of 1.1." in text_of(price().html())
    assert "none was chosen" in text_of(price(chosen=None).html())


def chart(**changes) -> LineChart:
    series = [Series(name="s", x=[0.5, 1, 2, 4], y=[1.0, 10.0, 100.0, 1000.0])]
    return LineChart(title="t", caption="c", series=series, x_label="strength", y_label="perplexity", **changes)


def test_on_logarithmic_axes_equal_ratios_are_equal_distances():
    found = [(x, y) for x, y, _, _ in marks(chart(x_log=True, y_log=True).html())]
    assert found == [(0.0, 100.0), (33.33, 66.67), (66.67, 33.33), (100.0, 0.0)]
    assert [(x, y) for x, y, _, _ in marks(chart().html())] != found


def test_what_is_not_positive_has_no_place_on_a_logarithmic_axis_and_is_counted():
    series = [Series(name="s", x=[0, 1, 2], y=[1.0, 0.0, 5.0], low=[0.5, -1.0, 4.0], high=[2.0, 1.0, 6.0])]
    html = msgspec.structs.replace(chart(x_log=True, y_log=True), series=series).html()
    assert len(marks(html)) == 1 and "has no place for 0 and below" in text_of(html)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [0.5, 1, 2, 4, 8, 16], [1e-8, 1e8], [3.0], [], [0.0, -1.0], [1.0, 1.02]]
)
def test_a_logarithmic_scale_has_a_few_ticks_inside_its_ends(values):
    scale = fit_log_scale(values)
    assert 2 <= len(scale.ticks) <= 9 and list(scale.ticks) == sorted(scale.ticks)
    assert all(-1e-6 <= scale.place(tick) <= 100 + 1e-6 for tick in scale.ticks)
    assert all(-1e-6 <= scale.place(value) <= 100 + 1e-6 for value in values if value > 0)


def test_a_threshold_is_a_line_at_its_value_with_its_name_and_one_outside_is_said_only():
    html = chart(x_log=True, thresholds=[Threshold(name="coherence breaks", x=2)]).html()
    assert re.findall(r'<line x1="([\d.]+)%"[^>]*class="threshold"', html) == ["66.67"]
    assert "Dashed: coherence breaks at strength 2." in text_of(html)
    outside = chart(thresholds=[Threshold(name="coherence breaks", x=20)]).html()
    assert 'class="threshold"' not in outside and "coherence breaks at strength 20" in text_of(outside)


def test_a_range_is_a_bar_from_end_to_end_and_stands_in_brackets():
    view = msgspec.structs.replace(SAMPLES["control-distribution"], steered=1.0, steered_range=(0.5, 1.5))
    assert "1.00 [0.50 to 1.50]" in text_of(view.html())
    assert view.html().count('class="range ours"') == 1
    bare = msgspec.structs.replace(view, steered_range=(), flipped_range=(), prompt_range=())
    assert 'class="range' not in bare.html() and "intervals over items" not in text_of(bare.html())


def test_a_range_without_ends_is_said_and_not_drawn():
    view = msgspec.structs.replace(SAMPLES["control-distribution"], steered_range=("-Infinity", "Infinity"))
    assert "[−∞ to ∞]" in text_of(view.html()) and 'class="range ours"' not in view.html()
