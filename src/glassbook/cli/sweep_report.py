"""The page of a sweep: effect beside cost over the grid, the choice beside its controls, and what was written there."""

from collections.abc import Mapping, Sequence

from glassbook.cli.sweep_tables import choices_table, fluency_table, written_table
from glassbook.stats import Interval, bootstrap
from glassbook.steering.sweeps.result import Cell, Chosen, Sweep
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.frontier import Frontier, Point
from glassbook.views.heat_map import HeatMap
from glassbook.views.line_chart import LineChart, Series, Threshold
from glassbook.views.page import Section, Verdict
from glassbook.views.sweep_map import CellValue, SweepMap
from glassbook.views.view import View

_NAMES = {
    "choice-log-odds": "Shift of the log-odds",
    "perplexity-ratio": "Shift of the log-probability of a token of the topic's texts",
}
_COST = "Perplexity ratio on unrelated text"


def sweep_lead(found: Sweep) -> str:
    """Return what was done, in one sentence."""
    layers, strengths = found.layers, ", ".join(f"{strength:g}" for strength in found.strengths)
    several = f"layers {layers[0]} to {layers[-1]}" if len(layers) > 1 else f"layer {layers[0]}"
    return (
        f"{capitalized(found.label)} at {several} and strengths {strengths}: the cell was chosen on one half of the items and "
        f"is told of on the other, beside {len(found.chosen.randoms)} random directions that went through the same choice."
    )


def sweep_verdict(found: Sweep) -> Verdict:
    """Return what the page comes to: held only where the vector works and did more than an instruction, beyond doubt."""
    sentence = capitalized(found.sentence)
    if found.verdict in ("does nothing", "only breaks fluency"):
        return Verdict("not held", sentence)
    held = found.verdict == "works" and found.lead is not None and found.lead.lies_above(0.0)
    return Verdict("held" if held else "unclear", sentence)


def capitalized(text: str) -> str:
    """Return a text that begins as a sentence does."""
    return text[:1].upper() + text[1:]


def sweep_views(found: Sweep) -> dict[str, View]:
    """Return every picture of the page under the name that a Run keeps it by."""
    views: dict[str, View] = {
        "sweep-map": map_view(found),
        "frontier": frontier_view(found),
        "controls": controls_view(found, found.chosen, "under the budget"),
        "choices": choices_table(found),
        "dose": dose_view(found),
        "flipped-map": flipped_view(found),
        "fluency": fluency_table(found),
    }
    if _place(found.unbounded.vector.cell) != _place(found.chosen.vector.cell):
        views["controls-unbounded"] = controls_view(found, found.unbounded, "without a budget")
    for number, prompt in enumerate(found.prompts):
        views[f"written-{number}"] = written_table(found, number, prompt)
    return views


def sweep_sections(found: Sweep, views: Mapping[str, View]) -> list[Section]:
    """Return the parts of the page, in reading order."""
    written = [view for name, view in views.items() if name.startswith("written-")]
    controls = [views[name] for name in ("controls", "controls-unbounded", "choices") if name in views]
    return [
        Section("Effect beside fluency", _HOW_CHOSEN, [views["sweep-map"], views["frontier"]]),
        Section("Is it this direction that matters?", _HOW_TOLD.format(split=found.split), controls),
        Section("Along the grid", "", [views["dose"], views["flipped-map"]]),
        Section("What the model wrote", _HOW_WRITTEN, [views["fluency"], *written]),
    ]


_HOW_CHOSEN = (
    "Every cell is a layer and a strength. The effect is a mean over the half of the items that the choice sees; the cost is "
    "how many times the perplexity of a text becomes that the direction is not about. The choice takes the largest effect "
    "whose cost keeps to the budget."
)
_HOW_TOLD = (
    "The largest of many cells looks better than it is. So the chosen cell is measured again on the other half of the items, "
    "and random directions of the same norm go through the same choice over the same grid: {split}."
)
_HOW_WRITTEN = (
    "Greedy completions at the chosen cell and its neighbors, beside every control at the same place. Perplexity is that of "
    "what was written under the unsteered model: low is fluent, and very low with much repetition is stuck."
)


def map_view(found: Sweep) -> SweepMap:
    """Return effect beside cost over the grid, the chosen cell and its neighbors outlined."""
    layers, strengths = list(found.layers), list(found.strengths)
    cells = [[found.cell(layer, strength) for strength in strengths] for layer in layers]
    chosen = found.chosen.vector.cell
    beside = [(one.layer, one.strength) for one in found.written if one.role == "neighbor"]
    return SweepMap(
        title="Effect and cost by layer and strength",
        caption=f"{capitalized(found.label)}, on the half of the items and of the text that the choice was made on.",
        row_axis="layer",
        column_axis="strength",
        rows=[str(layer) for layer in layers],
        columns=[f"{strength:g}" for strength in strengths],
        effects=[[_effect(cell) for cell in row] for row in cells],
        costs=[[cell.perplexity_ratio for cell in row] for row in cells],
        effect=_named(found),
        unit=found.unit,
        cost="Perplexity ratio",
        budget=found.budget,
        chosen=(layers.index(chosen.layer), strengths.index(chosen.strength)),
        neighbors=[
            (layers.index(layer), strengths.index(one)) for layer, one in beside if layer in layers and one in strengths
        ],
    )


def frontier_view(found: Sweep) -> Frontier:
    """Return effect against cost, a point a cell, beside prompting and what random directions chose."""
    cells = list(found.grid)
    prompting = found.prompting_effect
    return Frontier(
        title="What an effect costs",
        caption=(
            "One point a cell, on the half that the choice was made on; the line joins the cells that no other dominates. "
            "Prompting steers nothing, so it has an effect, told on the other half, and no such cost."
        ),
        points=[Point(name=_cell_name(cell), effect=cell.effect, cost=cell.perplexity_ratio) for cell in cells],
        frontier=[cells.index(cell) for cell in found.frontier],
        effect=_named(found),
        unit=found.unit,
        cost=_COST,
        budget=found.budget,
        chosen=cells.index(found.cell(*_place(found.chosen.vector.cell))),
        prompting=None if prompting is None else Point(name="prompting alone", effect=prompting, cost=None),
        randoms=[
            Point(name=f"{one.name} at {_cell_name(one.cell)}", effect=one.cell.effect, cost=one.cell.perplexity_ratio)
            for one in found.chosen.randoms
        ],
    )


def controls_view(found: Sweep, choice: Chosen, how: str) -> ControlDistribution:
    """Return the held-out effect beside its controls, each at the cell that the same choice gave it."""
    ours, flipped = choice.vector, choice.flipped_here
    seed = int(found.settings.get("seed", 0))
    return ControlDistribution(
        title=f"Held-out effect {how}, at {_cell_name(ours.cell)}",
        caption=(
            f"Mean shift over {len(ours.shifts)} items that the choice never saw. Each random direction acts at the cell that "
            "the same choice gave it; the flipped sign acts at the vector's own."
        ),
        effect=_named(found),
        unit=found.unit,
        unsteered=0.0,
        steered=ours.effect,
        flipped=flipped.effect,
        prompt_only=found.prompting_effect,
        randoms=[one.effect for one in choice.randoms],
        n_items=len(ours.shifts),
        steered_range=_ends(choice.interval),
        flipped_range=_ends(_interval(flipped.shifts, seed)),
        prompt_range=_ends(_interval(found.prompted or (), seed)),
    )


def dose_view(found: Sweep) -> LineChart:
    """Return the effect over strength at the chosen layer, with the strength from which the cost exceeds the budget."""
    layer = found.chosen.vector.cell.layer
    cells = [cell for cell in found.grid if cell.layer == layer]
    flipped = [cell for cell in found.flipped_grid if cell.layer == layer]
    over = [
        abs(one.strength) for one in cells if one.perplexity_ratio is not None and one.perplexity_ratio > found.budget
    ]
    strengths = [cell.strength for cell in cells]
    return LineChart(
        title=f"Effect over strength at layer {layer}",
        caption="On the half that the choice was made on.",
        series=[
            Series(name="the vector", x=strengths, y=[cell.effect for cell in cells]),
            Series(name="its flipped sign", x=[cell.strength for cell in flipped], y=[cell.effect for cell in flipped]),
        ],
        x_label="strength",
        y_label=f"{_named(found)} ({found.unit})" if found.unit else _named(found),
        x_log=min(strengths) > 0 and len(strengths) > 1,
        thresholds=[Threshold(name="over the budget", x=min(over))] if over else [],
    )


def flipped_view(found: Sweep) -> HeatMap:
    """Return the effect of the flipped sign over the same grid."""
    known = {(cell.layer, cell.strength): cell.effect for cell in found.flipped_grid}
    return HeatMap(
        title="The flipped sign over the same grid",
        caption="A direction that matters moves the other way when it is flipped; one that only disturbs does not.",
        row_axis="layer",
        column_axis="strength",
        rows=[str(layer) for layer in found.layers],
        columns=[f"{strength:g}" for strength in found.strengths],
        values=[[known.get((layer, strength)) for strength in found.strengths] for layer in found.layers],
        unit=found.unit,
    )


def _named(found: Sweep) -> str:
    return _NAMES.get(found.effect, found.effect)


def _effect(cell: Cell) -> CellValue:
    return cell.failure or "it could not be measured" if cell.effect is None else cell.effect


def _place(cell: Cell) -> tuple[int, float]:
    return cell.layer, cell.strength


def _cell_name(cell: Cell) -> str:
    return f"layer {cell.layer} × {cell.strength:g}"


def _interval(values: Sequence[float], seed: int) -> Interval | None:
    return bootstrap(values, seed=seed) if values else None


def _ends(interval: Interval | None) -> tuple[float, float] | tuple[()]:
    return () if interval is None else (interval.low, interval.high)
