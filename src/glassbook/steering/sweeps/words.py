"""What may be said of a sweep: its verdict by rule, and one sentence with every number that the verdict rests on."""

from glassbook.stats import Interval
from glassbook.steering.sweeps.result import Chosen, Outcome, SweepVerdict


def judge(chosen: Chosen, unbounded: Chosen, prompting: float | None) -> SweepVerdict:
    """Return the verdict, a function of the measured numbers alone.

    An effect at a cell that is beyond the budget on the held-out text too counts as one that breaks fluency.
    """
    ours = chosen.vector
    if chosen.stands_out and _keeps_to(chosen.budget, ours):
        is_worse = prompting is not None and ours.effect is not None and prompting > ours.effect
        return "worse than prompting" if is_worse else "works"
    if chosen.stands_out or unbounded.stands_out:
        return "works but breaks fluency"
    return "does nothing" if _keeps_to(chosen.budget, unbounded.vector) else "only breaks fluency"


def _keeps_to(budget: float, outcome: Outcome) -> bool:
    """Return whether a cell was within the budget where it was chosen and where it is reported; NaN is not."""
    ratios = (outcome.cell.perplexity_ratio, outcome.perplexity_ratio)
    return all(ratio is not None and ratio <= budget for ratio in ratios)


def say_sweep(
    label: str,
    verdict: SweepVerdict,
    measured: tuple[str, str],
    chosen: Chosen,
    unbounded: Chosen,
    prompted: tuple[str, float | None],
    lead: Interval | None = None,
) -> str:
    """Return the sentence: the verdict, the held-out effect beside its controls, its cost, and how prompting compares.

    `measured` is the effect and its unit, `prompted` the instruction and what it did, `lead` steering minus
    prompting, item by item.
    """
    effect, unit = measured
    name = {"choice-log-odds": "the log-odds", "perplexity-ratio": "the log-probability of the topic's text"}.get(
        effect, effect
    )
    parts = [f"{label} {verdict}: {_moved(chosen, name, unit)}", _controls(chosen, unit), _cost(chosen)]
    if verdict == "works but breaks fluency" and not chosen.stands_out:
        beyond = unbounded.vector
        parts.append(
            f"without the budget it moved {name} by {_number(beyond.effect, unit)} at layer {beyond.cell.layer} and strength "
            f"{beyond.cell.strength:g}, {_beaten(unbounded)}, at {_times(beyond.perplexity_ratio)} the perplexity"
        )
    if verdict == "only breaks fluency" and chosen.vector.within_budget:
        cost = _times(unbounded.vector.perplexity_ratio)
        parts.append(f"in the cell that the choice takes without the budget, unrelated text cost {cost} the perplexity")
    unsettled = "" if lead is None or lead.excludes(0.0) else f", a difference that {lead.n} items do not settle"
    parts.append(_prompting(chosen.vector, *prompted, unit) + unsettled)
    return "; ".join(parts) + "."


def _moved(chosen: Chosen, name: str, unit: str) -> str:
    ours = chosen.vector
    place = f"at layer {ours.cell.layer} and strength {ours.cell.strength:g}"
    if ours.effect is None or chosen.interval is None:
        return f"{place} its effect on the held-out items could not be measured ({ours.failure})"
    low, high = chosen.interval.low, chosen.interval.high
    span = f"95 % interval {low:+.3g} to {high:+.3g}, {chosen.interval.n} held-out items"
    return f"{place} it moved {name} by {_number(ours.effect, unit)} ({span})"


def _controls(chosen: Chosen, unit: str) -> str:
    flipped = _number(chosen.flipped_here.effect, unit)
    return f"{_beaten(chosen)} that went through the same choice; the flipped sign moved it by {flipped}"


def _beaten(chosen: Chosen) -> str:
    if chosen.rank is None:
        return "its rank among random directions could not be told"
    return f"further than {chosen.rank.beaten} of {chosen.rank.n} random directions (p = {chosen.rank.p:.3f})"


def _cost(chosen: Chosen) -> str:
    ours = chosen.vector
    said = f"unrelated text cost {_times(ours.perplexity_ratio)} the perplexity"
    if not ours.within_budget:
        return f"{said}, since no cell kept to the budget of {chosen.budget:g} and the cheapest was taken"
    if not ours.perplexity_ratio <= chosen.budget:
        return f"{said}, beyond the budget of {chosen.budget:g} that it kept to on the text it was chosen on"
    return f"{said}, within the budget of {chosen.budget:g}"


def _prompting(ours: Outcome, instruction: str, theirs: float | None, unit: str) -> str:
    if theirs is None:
        return "no plain instruction was tried"
    if ours.effect is None:
        return f"simply prompting with “{instruction.strip()}” moved it by {_number(theirs, unit)}"
    did = "did better" if theirs > ours.effect else "did less"
    return f"simply prompting with “{instruction.strip()}” {did} ({_number(theirs, unit)})"


def _number(value: float | None, unit: str) -> str:
    return "an unknown amount" if value is None else f"{value:+.3g} {unit}".strip()


def _times(ratio: float) -> str:
    return f"{ratio:.3f} times" if ratio < 1000 else "more than 1000 times"
