"""The page of an experiment with features: both texts, and the effect beside its controls."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glassbook.cli.steering_run import costs, making
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.comparison import Trial
from glassbook.steering.feature_effects import FeatureEffect
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.page import Making, Section, Verdict, render_page
from glassbook.views.steer_compare import Completion, SteerCompare
from glassbook.views.table import Cell, Table
from glassbook.views.view import View

if TYPE_CHECKING:
    from glassbook.cli.features_steering import SteeredFeatures

_ENOUGH_CONTROLS = 19
_HOW_MEASURED = (
    "Measured is the log-probability that the next token is one of a few, at every prediction of what the unsteered model "
    "writes. Features of like density undergo the same operator; random directions take the very changes that the features "
    "make, at the same norm."
)


def steering_views(model: Model, result: "SteeredFeatures") -> dict[str, View]:
    """Return every picture under the name that a Run keeps it by."""
    effect = result.effect
    return {
        "completions": compare_view(model, result.label, result.trials),
        "effect-similar": effect_view(result, effect.similar_shifts, "features of like density"),
        "effect-directions": effect_view(result, effect.direction_shifts, "random directions of the same norm"),
        "controls": controls_table(effect),
        "features": features_table(result),
    }


def steering_page(
    run: Run, model: Model, site: str, views: Mapping[str, View], effect: FeatureEffect, sentence: str
) -> str:
    """Return the page of an experiment."""
    sections = [
        Section("What the model wrote", "Drawn with the same options and seed.", [views["completions"]]),
        Section(
            "What the features did, beside their controls",
            _HOW_MEASURED,
            [views["effect-similar"], views["effect-directions"], views["controls"]],
        ),
        Section("Which features these are", "", [views["features"]]),
    ]
    identity = model.identity
    facts = {"Model": identity.label, "Precision": identity.dtype, "Site": site, "Run": run.id}
    lead = "A prompt continued with some features of a dictionary changed, and without."
    made = Making(making(run, model), costs(run))
    return render_page(effect.label, lead, sections, facts, made, verdict(effect, sentence))


def verdict(effect: FeatureEffect, sentence: str) -> Verdict:
    """Return what the page comes to: held against at least 19 controls of each kind, and an instruction that did less."""
    if not effect.works:
        return Verdict("not held", sentence)
    told = effect.prompting_shift
    enough = min(len(effect.similar), len(effect.directions)) >= _ENOUGH_CONTROLS
    return Verdict("held" if enough and told is not None and abs(told) < abs(effect.shift) else "unclear", sentence)


def compare_view(model: Model, label: str, trials: Sequence[Trial]) -> SteerCompare:
    """Return the unsteered completion beside the steered one, the touched tokens marked."""
    plain, steered = trials
    return SteerCompare(
        title=label,
        caption="The features are changed wherever a token is marked as touched.",
        prompt=_strings(model, plain.completion.prompt_tokens),
        completions=[_column(model, trial, strength) for trial, strength in ((plain, 0.0), (steered, 1.0))],
        fluency_name="perplexity under the unsteered model",
        fluency_unit="",
    )


def effect_view(result: "SteeredFeatures", shifts: Sequence[float], what: str) -> ControlDistribution:
    """Return the effect beside one kind of control."""
    effect = result.effect
    tried = f"the instruction was “{effect.instruction.strip()}”" if effect.instruction else "no instruction was tried"
    return ControlDistribution(
        title=f"{effect.label}, beside {what}",
        caption=f"Shifts of the log-probability of {', '.join(map(repr, result.tokens))}; {tried}.",
        effect="shift of the log-probability",
        unit="nats",
        unsteered=0.0,
        steered=effect.shift,
        flipped=effect.flipped_shift,
        prompt_only=effect.prompting_shift,
        randoms=list(shifts),
        n_items=effect.n,
    )


def controls_table(effect: FeatureEffect) -> Table:
    """Return every control with its shift."""
    rows: list[list[Cell]] = [[effect.label, effect.shift], ["flipped sign", effect.flipped_shift]]
    named = zip(effect.similar_features, effect.similar_shifts, strict=True)
    rows += [[f"like density: feature {', '.join(map(str, features))}", shift] for features, shift in named]
    rows += [[f"random direction {number}", shift] for number, shift in enumerate(effect.direction_shifts)]
    return Table(
        title="Every control",
        caption="Shifts from the unsteered model.",
        columns=["What", "Shift"],
        units=["", "nats"],
        rows=rows,
    )


def features_table(result: "SteeredFeatures") -> Table:
    """Return what is known of the features."""
    rows: list[list[Cell]] = [
        [str(one["feature"]), one["about"] or "no label", one["density"], one["largest"], one["counted_on"]]
        for one in result.features
    ]
    return Table(
        title="The features",
        caption="Density is the share of tokens at which a feature is active.",
        columns=["Feature", "About", "Density", "Largest value", "Counted on"],
        rows=rows,
    )


def _column(model: Model, trial: Trial, strength: float) -> Completion:
    one = trial.completion
    return Completion(
        label=trial.label,
        strength=strength,
        tokens=_strings(model, one.tokens),
        touched=[position for position, touched in enumerate(one.touched) if touched],
        fluency=trial.perplexity,
    )


def _strings(model: Model, tokens: Sequence[int]) -> list[str]:
    return model.tokenizer.token_strings(tokens) if model.tokenizer else [str(token) for token in tokens]
