"""Tables of a study: the paper beside ours, what we do otherwise, what both spent; as views and as Markdown."""

from collections.abc import Mapping, Sequence

import msgspec

from glassbook.evidence.claim_set import ClaimSet, Deviation, PaperCost
from glassbook.evidence.claims import LEVEL, Claim, Paper
from glassbook.evidence.judging import Judgement, say_bar
from glassbook.stats.intervals import Interval
from glassbook.views.claim_table import ClaimRow, ClaimTable, Estimate
from glassbook.views.numbers import spell
from glassbook.views.table import Table, spell_cell

NOT_CHECKED, NOT_STATED, NO_NUMBER = "not checked", "not stated", "no number"
_COSTS = {"parameters": "Parameters", "tokens": "Tokens", "flop": "Operations (FLOP)", "seconds": "Time (s)"}


class OurCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a study spent over all its runs; `parameters` are those of the largest model."""

    parameters: float | None = None
    tokens: float | None = None
    flop: float | None = None
    seconds: float | None = None


def claim_table(claims: Sequence[Claim], judgements: Mapping[str, Judgement], title: str = "Claims") -> ClaimTable:
    """Return the table of the claims that were judged, the paper's numbers beside ours."""
    rows = [_row(claim, judgements[claim.id]) for claim in claims if claim.id in judgements]
    caption = "The bar of each claim was written down before its runs. Unchecked numbers of the paper are not shown."
    return ClaimTable(title=title, caption=caption, claims=rows, level=LEVEL)


def deviations_table(deviations: Sequence[Deviation]) -> Table:
    """Return what we do otherwise than the paper, a row each."""
    return Table(
        title="Deviations from the paper",
        caption="Whatever is not listed is done as the paper does it, as far as it says.",
        columns=("What", "The paper", "Here"),
        rows=[(one.what, one.paper, one.ours) for one in deviations],
    )


def cost_table(found: ClaimSet, ours: OurCost) -> Table:
    """Return what we spent beside what the paper says it spent: parameters, tokens, FLOP, seconds."""
    paper = found.paper_cost
    rows = [(says, *_both(paper, ours, name)) for name, says in _COSTS.items()]
    source = f"The paper's: {paper.source}." if paper.source else "The paper states none of these."
    return Table(
        title="What it cost",
        caption="Ours is summed over all seeds and arms; parameters are those of the largest model.",
        columns=("What", "The paper", "Here"),
        rows=rows,
        notes=(source,),
    )


def say_paper(paper: Paper | None) -> str:
    """Return the paper's number in words, with where it stands; one that nobody has seen there is not shown."""
    if paper is None:
        return NO_NUMBER
    if not paper.checked:
        return NOT_CHECKED
    said = NO_NUMBER if paper.value is None else spell(paper.value)
    return f"{said}, {paper.where}" if paper.where else said


def as_markdown(table: Table | ClaimTable) -> str:
    """Return a table as Markdown of the GitHub kind, its notes beneath."""
    if isinstance(table, ClaimTable):
        table = _flattened(table)
    units = [*(table.units or ()), *[""] * len(table.columns)]
    heads = [f"{name} ({unit})" if unit else name for name, unit in zip(table.columns, units, strict=False)]
    lines = [heads, ["---"] * len(heads), *[[spell_cell(cell) for cell in row] for row in table.rows]]
    written = ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]
    return "\n".join([*written, *[part for note in table.notes for part in ("", note)]]) + "\n"


def _row(claim: Claim, judgement: Judgement) -> ClaimRow:
    return ClaimRow(
        id=claim.id,
        says=claim.says,
        unit=claim.unit,
        paper=say_paper(claim.paper),
        setting=claim.paper.setting if claim.paper else "",
        ours=_estimate(judgement.interval),
        bar=f"{claim.direction} {say_bar(claim.bar)}",
        baseline=_estimate(judgement.baseline, claim.baseline.says),
        control=_estimate(judgement.control, claim.control.says),
        n_items=judgement.n_items,
        items=claim.items,
        seeds=tuple(judgement.each_seed),
        each_seed=tuple(judgement.each_seed.values()),
        verdict=judgement.verdict or "",
        because=judgement.because,
        headline=claim.headline,
    )


def _estimate(interval: Interval, says: str = "") -> Estimate:
    return Estimate(value=interval.estimate, low=interval.low, high=interval.high, says=says)


def _both(paper: PaperCost, ours: OurCost, name: str) -> tuple[str, str]:
    stated, spent = getattr(paper, name), getattr(ours, name)
    return NOT_STATED if stated is None else spell(stated), "not counted" if spent is None else spell(spent)


def _flattened(table: ClaimTable) -> Table:
    rows = [
        (
            row.says,
            f"{row.paper} ({row.setting})" if row.setting else row.paper,
            f"{row.ours} {row.unit}".rstrip(),
            row.bar,
            f"{row.baseline}: {row.baseline.says}",
            f"{row.control}: {row.control.says}",
            f"{spell(row.n_items)} {row.items}, {len(row.seeds)} seeds: {', '.join(map(spell, row.each_seed))}",
            row.outcome,
        )
        for row in table.claims
    ]
    heads = ("Claim", "Paper", "Ours", "Bar", "Baseline", "Control, which should fail", "Items and seeds", "Verdict")
    return Table(title=table.title, caption=table.caption, columns=heads, rows=rows)


def _cell(text: str) -> str:
    """Return text that stays within its cell and keeps its letters."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").split("\n"))
