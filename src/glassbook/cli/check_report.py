"""The page of a check: the vector beside its controls, its cost over strengths, what was written, and the verdict."""

from collections.abc import Mapping, Sequence

from glassbook.cli.steering_report import Steered, compare_view
from glassbook.models.model import Model
from glassbook.steering.check import CheckReport
from glassbook.steering.check_words import CheckVerdict
from glassbook.steering.comparison import Effect
from glassbook.steering.vector_set import each_vector
from glassbook.steering.vectors import SteeringVector
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.line_chart import LineChart, Series, Threshold
from glassbook.views.page import Section, Verdict
from glassbook.views.table import Cell, Table
from glassbook.views.view import View

_FAILED: tuple[CheckVerdict, ...] = ("does nothing", "only breaks fluency", "works the other way")
_HOW_HELD = (
    "Each item has a positive and a negative way to go on; the effect is how far the log-odds between them move, in the mean "
    "over items. Every random direction has the norms of the vector, layer by layer, and goes through the same items."
)
_HOW_DOSED = (
    "The strength that was checked is 1. Perplexity is measured by teacher forcing on a text that the vector is not about, over "
    "the unsteered model's; twice that is called broken here."
)


def check_lead(model: Model, checked: CheckReport) -> str:
    """Return what was checked on what, and what ties the two together."""
    vectors = _upward(checked)
    first, last = vectors[0].site, vectors[-1].site
    where = f"at {first}" if len(vectors) == 1 else f"at {len(vectors)} Sites from {first} to {last}"
    lead = f"{checked.label}, {where}, on {model.identity.label}, as it came: nothing was chosen here."
    if not vectors[0].identity.lineage:
        return (
            f"{lead} Nothing ties the file to these weights but its width and the architecture that it names, if any."
        )
    return lead


def check_facts(model: Model, checked: CheckReport) -> dict[str, str]:
    """Return the facts that stand at the head of the page."""
    made_on = each_vector(checked.vectors)[0].identity
    known = made_on.label if made_on.lineage else f"{made_on.label}; which one is not recorded"
    return {
        "Verdict": checked.verdict,
        "Model": model.identity.label,
        "Precision": model.identity.dtype,
        "Made on": known,
    }


def check_verdict(checked: CheckReport) -> Verdict:
    """Return what the page comes to: held only where the vector works and an instruction was tried and did no better."""
    if checked.verdict in _FAILED:
        return Verdict("not held", checked.sentence)
    effect = checked.effect
    outdid = effect is not None and effect.prompting_shift is not None and not effect.loses_to_prompting
    return Verdict("held" if checked.verdict == "works" and outdid else "unclear", checked.sentence)


def check_views(model: Model, checked: CheckReport) -> dict[str, View]:
    """Return every picture of the page under the name that a Run keeps it by."""
    views: dict[str, View] = {}
    if checked.effect is not None:
        views["controls"] = controls_view(checked, checked.effect)
        views["dose-effect"] = effect_dose_view(checked)
    views |= {"dose-cost": cost_dose_view(checked), "text": text_view(checked), "doses": doses_table(checked)}
    for number, one in enumerate(checked.written):
        steered = Steered(label=one.prompt, vector=checked.vectors, trials=[(one.plain, one.steered)])
        views[f"written-{number}"] = compare_view(model, steered, (one.plain, one.steered))
    return views | {"fluency": fluency_table(checked), "vectors": vectors_table(checked)}


def check_sections(checked: CheckReport, views: Mapping[str, View]) -> list[Section]:
    """Return the parts of the page, in reading order."""
    written = [view for name, view in views.items() if name.startswith("written-")]
    dosed = [views[name] for name in ("dose-effect", "dose-cost", "doses") if name in views]
    sections = [
        Section("How strong may it become?", _HOW_DOSED, dosed),
        Section("What it does to unrelated text", "", [views["text"]]),
        Section(
            "What the model wrote",
            "Drawn with the same seed, without the vector and with it.",
            [*written, views["fluency"]],
        ),
        Section("The vector", "", [views["vectors"]]),
    ]
    if checked.effect is None:
        return sections
    return [Section("Is it this direction that matters?", _HOW_HELD, [views["controls"]]), *sections]


def controls_view(checked: CheckReport, effect: Effect) -> ControlDistribution:
    """Return the effect beside every control, as shifts from the unsteered model."""
    tried = f"the instruction was “{effect.instruction.strip()}”" if effect.instruction else "no instruction was tried"
    interval, flipped = checked.interval, checked.flipped_interval
    return ControlDistribution(
        title="Effect and controls",
        caption=f"Mean shift over {len(effect.unsteered)} items; {tried}.",
        effect="shift of the log-odds of the positive option against the negative one",
        unit="nats",
        unsteered=0.0,
        steered=effect.steered_shift,
        flipped=effect.shift(effect.flipped),
        prompt_only=effect.prompting_shift,
        randoms=effect.random_shifts,
        n_items=len(effect.unsteered),
        steered_range=[interval.low, interval.high] if interval else (),
        flipped_range=[flipped.low, flipped.high] if flipped else (),
    )


def effect_dose_view(checked: CheckReport) -> LineChart:
    """Return the effect over strengths, with where budget and coherence end."""
    rows = sorted(checked.dose_effects.items())
    series = Series(
        name="shift of the log-odds",
        x=[multiple for multiple, _ in rows],
        y=[interval.estimate for _, interval in rows],
        low=[interval.low for _, interval in rows],
        high=[interval.high for _, interval in rows],
    )
    return LineChart(
        title="Effect over strength",
        caption="An effect beyond the line at which coherence breaks is no merit.",
        series=[series],
        x_label="times the strength",
        y_label="nats",
        band_name="95 % interval over items",
        x_log=True,
        thresholds=_limits(checked),
    )


def cost_dose_view(checked: CheckReport) -> LineChart:
    """Return the perplexity ratio over strengths, with the lines it is held to."""
    series = Series(
        name="perplexity ratio",
        x=[dose.multiple for dose in checked.doses],
        y=[dose.cost.perplexity_ratio for dose in checked.doses],
    )
    lines = [Threshold(name="budget", y=checked.budget.line), Threshold(name="broken", y=checked.broken.line)]
    return LineChart(
        title="Cost over strength",
        caption=f"The end of the budget {checked.budget.say()}; the point where coherence breaks {checked.broken.say()}.",
        series=[series],
        x_label="times the strength",
        y_label="perplexity ratio on unrelated text",
        x_log=True,
        y_log=True,
        thresholds=lines,
    )


def text_view(checked: CheckReport) -> Table:
    """Return what vector, flipped sign and random directions do to a text that none of them is about."""
    randoms = checked.random_costs
    middle = sorted(cost.perplexity_ratio for cost in randoms)
    divergences = sorted(cost.kl for cost in randoms)
    rows: list[list[Cell]] = [
        ["the vector", checked.cost.perplexity_ratio, checked.cost.kl],
        ["flipped sign", checked.flipped_cost.perplexity_ratio, checked.flipped_cost.kl],
        ["random directions, least", middle[0], divergences[0]],
        ["random directions, median", _median(middle), _median(divergences)],
        ["random directions, most", middle[-1], divergences[-1]],
    ]
    return Table(
        title="Unrelated text",
        caption=f"{len(randoms)} random directions of the same norms; KL of the unsteered predictions from the steered ones.",
        columns=["Steered by", "Perplexity ratio", "KL"],
        units=["", "", "nats a token"],
        rows=rows,
    )


def doses_table(checked: CheckReport) -> Table:
    """Return every strength that was tried, in numbers."""
    rows: list[list[Cell]] = []
    for dose in checked.doses:
        effect = checked.dose_effects.get(dose.multiple)
        rows.append(
            [f"{dose.multiple:.3g}", dose.cost.perplexity_ratio, dose.cost.kl, effect.estimate if effect else None]
        )
    return Table(
        title="Strengths in numbers",
        caption="Rungs of the ladder, each twice the one before, and what was tried between them.",
        columns=["Times the strength", "Perplexity ratio", "KL", "Effect"],
        units=["", "", "nats a token", "nats"],
        rows=rows,
    )


def fluency_table(checked: CheckReport) -> Table:
    """Return how fluent the completions are."""
    rows: list[list[Cell]] = [
        [one.prompt, label, numbers["perplexity"], numbers["repetition"], numbers["distinct_2"]]
        for one in checked.written
        for label, numbers in one.fluency().items()
    ]
    return Table(
        title="Fluency of what was written",
        caption="Perplexity is that of the unsteered model; repetition is the share of runs of 4 tokens that stood before.",
        columns=["Prompt", "Steering", "Perplexity", "Repetition", "Distinct pairs"],
        rows=rows,
    )


def vectors_table(checked: CheckReport) -> Table:
    """Return where the vectors act, from the lowest layer up; how they were made stands once beneath."""
    vectors = _upward(checked)
    return Table(
        title="What is in the file",
        caption="The norm is that of what is added at the strength that was checked.",
        columns=["Site", "Norm", "Operator", "Positions"],
        rows=[[str(one.site), one.norm * abs(one.strength), one.operator, str(one.positions)] for one in vectors],
        notes=list(dict.fromkeys(_making(vector) for vector in vectors)),
    )


def _making(vector: SteeringVector) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in vector.made.items() if key != "tokens" and value)
    return f"Made by: {facts}." if facts else "How it was made is not recorded."


def _upward(checked: CheckReport) -> list[SteeringVector]:
    """Return the vectors from the lowest layer up, those outside the blocks first."""
    return sorted(
        each_vector(checked.vectors), key=lambda vector: -1 if vector.site.layer is None else vector.site.layer
    )


def _limits(checked: CheckReport) -> list[Threshold]:
    ends = {"budget ends": checked.budget.multiple, "coherence breaks": checked.broken.multiple}
    return [Threshold(name=name, x=multiple) for name, multiple in ends.items() if multiple is not None]


def _median(values: Sequence[float]) -> float:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
