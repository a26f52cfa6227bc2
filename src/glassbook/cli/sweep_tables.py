"""The tables of a sweep's page: what the choice gave to each direction, how fluent it is, and what was written."""

from collections.abc import Sequence
from statistics import median

from glassbook.steering.sweeps.result import Outcome, Sweep, Written
from glassbook.views.numbers import spell
from glassbook.views.table import Cell, Table

_N_RANDOM_SHOWN = 2


def choices_table(found: Sweep) -> Table:
    """Return which cell each direction was given by the choice, and what it did there on the held-out half."""
    rows = []
    for how, choice in (("yes", found.chosen), ("no", found.unbounded)):
        randoms = sorted(choice.randoms, key=lambda one: one.effect if one.effect is not None else float("-inf"))
        shown = [("vector", choice.vector), ("flipped sign", choice.flipped)]
        shown += [("best random", randoms[-1])] if randoms else []
        rows += [_choice_row(name, how, one) for name, one in shown]
    return Table(
        title="What the choice gave to each direction",
        caption="Each direction at its own chosen cell: what chose it, and what it did and cost on the other half.",
        columns=["Direction", "Budget", "Layer × strength", "When chosen", "Held out", "Perplexity", "KL"],
        units=["", "", "", found.unit, found.unit, "ratio", "nats a token"],
        rows=rows,
        notes=[note for note in (_against_prompting(found), _failures(found)) if note],
    )


def _choice_row(name: str, budget: str, one: Outcome) -> list[Cell]:
    place = f"{one.cell.layer} × {one.cell.strength:g}"
    return [name, budget, place, one.cell.effect, one.effect, one.perplexity_ratio, one.kl]


def _against_prompting(found: Sweep) -> str:
    gap = found.lead
    if not found.prompted:
        return "No instruction was tried instead of steering."
    told = f"Prompting alone (“{found.instruction.strip()}”)"
    if gap is None:
        return f"{told} could not be compared item by item."
    ends = f"{100 * gap.level:g} % interval {spell(gap.low)} to {spell(gap.high)}"
    apart = "" if gap.excludes(0.0) else ", which does not tell the two apart"
    return f"{told}: steering minus prompting, item by item, is {spell(gap.estimate, found.unit)} ({ends}){apart}."


def _failures(found: Sweep) -> str:
    failed = [cell for cell in found.grid if cell.failure]
    return f"{len(failed)} of {len(found.grid)} cells could not be measured." if failed else ""


def fluency_table(found: Sweep) -> Table:
    """Return how fluent the completions are at the chosen cell, its neighbors, and under each control."""
    single = [one for one in found.written if one.role != "random"]
    randoms = [one for one in found.written if one.role == "random"]
    rows = [_fluency_row(_written_name(one), [one]) for one in single]
    if randoms:
        rows.append(_fluency_row(f"random directions (median of {len(randoms)})", randoms))
    return Table(
        title="How fluent it is",
        caption=f"Over {len(found.prompts)} prompts. Ratio and KL are on unrelated text; distinct-n is a share of all n-grams.",
        columns=["What acted", "Perplexity", "Repetition", "Distinct-1", "Distinct-2", "Perplexity", "KL"],
        units=["", "", "", "", "", "ratio, unrelated", "nats a token"],
        rows=rows,
    )


def _fluency_row(name: str, several: Sequence[Written]) -> list[Cell]:
    measures = ("perplexity", "repetition", "distinct_1", "distinct_2", "perplexity_ratio", "kl")
    columns = [[value for one in several if (value := getattr(one, measure)) is not None] for measure in measures]
    return [name, *(median(column) if column else None for column in columns)]


def written_table(found: Sweep, number: int, prompt: str) -> Table:
    """Return what followed one prompt under each steering; of the random directions the first two stand for all."""
    names = [one.label for one in found.written if one.role == "random"][:_N_RANDOM_SHOWN]
    shown = [one for one in found.written if one.role != "random" or one.label in names]
    return Table(
        title=f"After “{prompt.strip()[-200:]}”",
        caption="Greedy completions. Of the random directions the first two are shown; the run holds them all.",
        columns=["What acted", "What the model wrote"],
        rows=[[_written_name(one), one.completions[number] if number < len(one.completions) else "—"] for one in shown],
    )


def _written_name(one: Written) -> str:
    return "neighbor: " + one.label if one.role == "neighbor" else one.label
