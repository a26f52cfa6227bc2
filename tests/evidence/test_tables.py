"""Tables of evidence say what was judged, hide what nobody checked, and stay tables in Markdown."""

from itertools import pairwise

import pytest
from markdown_it import MarkdownIt

from evidence.claims import CLAIM, changed, normal_items
from glassbook.evidence import (
    ClaimSet,
    Deviation,
    OurCost,
    Paper,
    PaperCost,
    as_markdown,
    claim_table,
    cost_table,
    deviations_table,
    judge,
    say_paper,
)
from glassbook.views import Table, read_view


def judged(*claims, **how):
    return {claim.id: judge(claim, normal_items(**how), written=claim.bar_hash) for claim in claims}


def cells_of(markdown):
    """Return the rows of a Markdown table as a parser of Markdown sees them."""
    tokens = MarkdownIt().enable("table").parse(markdown)
    rows: list[list[str]] = []
    for token, after in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open"):
            rows[-1].append("".join(part.content for part in after.children))
    return rows


def test_a_row_holds_the_papers_number_beside_ours_with_all_that_it_is_held_against():
    view = claim_table([CLAIM], judged(CLAIM))
    (row,) = view.claims
    found = judged(CLAIM)["larger"]
    assert (row.paper, row.setting, row.bar, row.verdict) == ("2.5, table 1", "a larger model", "above 1", "replicated")
    assert (row.ours.value, row.ours.low, row.ours.high) == (
        found.interval.estimate,
        found.interval.low,
        found.interval.high,
    )
    assert (row.control.value, row.control.says) == (found.control.estimate, "a random direction")
    assert dict(zip(row.seeds, row.each_seed, strict=True)) == found.each_seed
    assert read_view(view.to_json()) == view


def test_a_claim_that_was_not_judged_has_no_row():
    other = changed(id="other")
    assert [row.id for row in claim_table([CLAIM, other], judged(other)).claims] == ["other"]


def test_fewer_than_three_seeds_are_shown_without_a_verdict():
    view = claim_table([CLAIM], judged(CLAIM, seeds=[0]))
    assert view.claims[0].verdict == ""
    assert "no verdict" in view.html() and "1 claim: 1 no verdict." in view.finding()


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        (Paper(value=0.875, where="table 2", checked=True), "0.875, table 2"),
        (Paper(value=0.875, where="table 2"), "not checked"),
        (Paper(where="figure 3", checked=True), "no number, figure 3"),
        (None, "no number"),
    ],
)
def test_a_number_of_the_paper_is_shown_only_where_somebody_has_seen_it(paper, said):
    assert say_paper(paper) == said
    view = claim_table([changed(paper=paper)], judged(changed(paper=paper)))
    assert view.claims[0].paper == said
    assert ("0.875" in view.html()) == ("0.875" in said)


def claim_set(**fields):
    return ClaimSet(study="s", paper="p", claims=(CLAIM,), **fields)


def test_what_the_paper_does_not_state_is_not_stated():
    stated = PaperCost(parameters=1.56e9, seconds=30, source="section 4")
    table = cost_table(claim_set(paper_cost=stated), OurCost(parameters=134_515_008, tokens=1000, flop=1e12))
    assert table.rows == (
        ("Parameters", "1.56 × 10⁹", "1.35 × 10⁸"),
        ("Tokens", "not stated", "1\u202f000"),
        ("Operations (FLOP)", "not stated", "1.00 × 10¹²"),
        ("Time (s)", "30", "not counted"),
    )
    assert table.notes == ("The paper's: section 4.",)
    assert cost_table(claim_set(), OurCost()).notes == ("The paper states none of these.",)


def test_deviations_are_a_row_each():
    table = deviations_table(
        [Deviation("model", "GPT-2-XL", "SmolLM2-135M"), Deviation("texts", "OpenWebText", "WikiText-2")]
    )
    assert table.rows == (("model", "GPT-2-XL", "SmolLM2-135M"), ("texts", "OpenWebText", "WikiText-2"))


def test_markdown_keeps_every_cell_in_its_place():
    hostile = ["a|b", "c\\", "d\ne", "\\|"]
    table = Table(
        title="t", caption="c", columns=("x|y", "b", "c", "d"), rows=[hostile], units=("m",), notes=("A note.",)
    )
    written = as_markdown(table)
    assert cells_of(written) == [["x|y (m)", "b", "c", "d"], ["a|b", "c\\", "d e", "\\|"]]
    assert written.endswith("\n\nA note.\n")


def test_the_claim_table_in_markdown_has_a_row_a_claim_and_every_seed():
    head, row = cells_of(as_markdown(claim_table([CLAIM], judged(CLAIM))))
    assert head[0] == "Claim" and head[-1] == "Verdict" and len(head) == len(row)
    assert row[-1] == "replicated" and "12 prompts, 3 seeds:" in row[-2]
    assert row[1] == "2.5, table 1 (a larger model)"
