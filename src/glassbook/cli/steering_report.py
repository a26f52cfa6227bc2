"""The report of a steering experiment: what was written, what the vector did beside its controls, how it was made.

`glassbook steer` and `glassbook demo` give it their results, one `Steered` for each vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glassbook.models.model import Model
from glassbook.steering.comparison import Effect, Trial, conclude, say
from glassbook.steering.operators import OPERATORS, POSITIONS
from glassbook.steering.vector_set import Vectors, each_vector
from glassbook.steering.vectors import SteeringVector
from glassbook.views.control_distribution import ControlDistribution
from glassbook.views.page import Section, Verdict
from glassbook.views.steer_compare import Completion, SteerCompare
from glassbook.views.table import Table
from glassbook.views.view import View, plain

_HOW_MEASURED = (
    "Each prompt of a set that no vector was made from has a positive and a negative way to go on. The effect is how far "
    "the log-odds between them move, in the mean over prompts; every control goes through the same prompts."
)


_ENOUGH_RANDOMS = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """One vector, or a set that steers as one, and what it did.

    `trials` are pairs of completions, unsteered and steered; `effect` and `ratio` (the perplexity of unrelated text,
    steered over unsteered) are None where they were not measured.
    """

    label: str
    vector: Vectors
    trials: Sequence[tuple[Trial, Trial]]
    effect: Effect | None = None
    ratio: float | None = None

    @property
    def sentence(self) -> str:
        """Return what may be said of the effect, or that none was measured."""
        if self.effect is None or self.ratio is None:
            return f"{self.label}: no effect was measured, so nothing can be said of one."
        return say(self.effect, self.ratio)

    def to_dict(self) -> dict[str, Any]:
        """Return every number of it as plain data; those that JSON cannot write become words."""
        said = {
            "label": self.label,
            "vector": describe(self.vector),
            "trials": [[_trial(trial) for trial in pair] for pair in self.trials],
            "effect": self.effect.to_dict() if self.effect else None,
            "perplexity_ratio": self.ratio,
            "sentence": self.sentence,
        }
        return dict(plain(said))


def report_views(model: Model, results: Sequence[Steered]) -> dict[str, View]:
    """Return every picture of the report under the name that a Run keeps it by."""
    views: dict[str, View] = {}
    for number, result in enumerate(results):
        for turn, pair in enumerate(result.trials):
            views[f"completions-{number}-{turn}"] = compare_view(model, result, pair)
        if result.effect is not None:
            views[f"effect-{number}"] = effect_view(result, result.effect)
    measured = [result for result in results if result.effect is not None]
    if measured:
        views["effects"] = effects_table(measured)
    views["vectors"] = vectors_table(results)
    return views


def report_sections(model: Model, results: Sequence[Steered], views: dict[str, View] | None = None) -> list[Section]:
    """Return the parts of the report's page, in reading order; `views` are those of `report_views` if made already."""
    made = views or report_views(model, results)
    written = [view for name, view in made.items() if name.startswith("completions-")]
    effects = [view for name, view in made.items() if name.startswith("effect")]
    sections = [
        Section(
            "What the model wrote", "Drawn with the same options and seed, without the vector and with it.", written
        )
    ]
    if effects:
        sections.append(Section("What the vector did, beside its controls", _HOW_MEASURED, effects))
    return [*sections, Section("How the vectors were made", "", [made["vectors"]])]


def report_verdict(results: Sequence[Steered]) -> Verdict | None:
    """Return what the page comes to.

    Held where every measured effect stands out from at least 19 random directions (a chance of 1 in 20) and from its flipped
    sign, and an instruction was tried and did less; not held where none stands out; unclear between.
    """
    measured = [(one.effect, one.ratio) for one in results if one.effect is not None and one.ratio is not None]
    if not measured:
        return None
    sentence = say(*measured[0]) if len(measured) == 1 else conclude(measured)
    if not any(effect.works for effect, _ in measured):
        return Verdict("not held", sentence)
    if all(_is_convincing(effect) for effect, _ in measured):
        return Verdict("held", sentence)
    return Verdict("unclear", sentence)


def _is_convincing(effect: Effect) -> bool:
    tried = effect.prompting_shift is not None and not effect.loses_to_prompting
    return effect.works and tried and len(effect.randoms) >= _ENOUGH_RANDOMS


def compare_view(model: Model, result: Steered, pair: tuple[Trial, Trial]) -> SteerCompare:
    """Return the unsteered completion beside the steered one, the touched tokens marked."""
    prompt, vector = pair[0].completion.prompt_tokens, each_vector(result.vector)[0]
    how = f"{OPERATORS[vector.operator]} at {_sites(result.vector)}, on {_positions(vector)}"
    return SteerCompare(
        title=result.label,
        caption=f"{how}; strength {vector.strength:g}.",
        prompt=_strings(model, prompt),
        completions=[
            _column(model, trial, strength) for trial, strength in zip(pair, (0.0, vector.strength), strict=True)
        ],
        fluency_name="perplexity under the unsteered model",
        fluency_unit="",
    )


def effect_view(result: Steered, effect: Effect) -> ControlDistribution:
    """Return the effect beside every control, as shifts from the unsteered model."""
    tried = f"the instruction was “{effect.instruction.strip()}”" if effect.instruction else "no instruction was tried"
    return ControlDistribution(
        title=f"{effect.label}: effect and controls",
        caption=(
            f"Mean shift over {len(effect.unsteered)} held-out prompts, beside {len(effect.randoms)} random directions "
            f"of the same norm at {_sites(result.vector)}; {tried}."
        ),
        effect="shift of the log-odds of the positive word against the negative one",
        unit="nats",
        unsteered=0.0,
        steered=effect.steered_shift,
        flipped=effect.shift(effect.flipped),
        prompt_only=effect.prompting_shift,
        randoms=effect.random_shifts,
        n_items=len(effect.unsteered),
    )


def effects_table(results: Sequence[Steered]) -> Table:
    """Return every measured effect in one row each."""
    rows = [_effect_row(result, result.effect) for result in results if result.effect is not None]
    return Table(
        title="Effects in numbers",
        caption="Mean shifts from the unsteered model; the ratio is of perplexities on unrelated text.",
        columns=[
            "Vector",
            "Shift",
            "Flipped sign",
            "Prompting",
            "Random directions beaten",
            "Perplexity ratio",
            "Stands out",
        ],
        units=["", "nats", "nats", "nats", "", "", ""],
        rows=rows,
    )


def vectors_table(results: Sequence[Steered]) -> Table:
    """Return where every vector acts and what it was made from."""
    rows = []
    for label, vector in ((one.label, vector) for one in results for vector in each_vector(one.vector)):
        said = describe_vector(vector)
        made = ", ".join(f"{key} {value}" for key, value in said["made"].items() if key != "tokens")
        rows.append(
            [label, said["site"], said["norm"], said["strength"], said["operator"], str(said["positions"]), made]
        )
    return Table(
        title="Vectors",
        caption="The norm is that of what strength 1 adds, the longest over front tokens.",
        columns=["Vector", "Site", "Norm", "Strength", "Operator", "Positions", "Made from"],
        rows=rows,
    )


def describe(vectors: Vectors) -> dict[str, Any]:
    """Return what a vector is as plain data, without its numbers; of a set, what each of its vectors is."""
    if isinstance(vectors, SteeringVector):
        return describe_vector(vectors)
    return {"set": [describe_vector(vector) for vector in vectors]}


def describe_vector(vector: SteeringVector) -> dict[str, Any]:
    """Return what a vector is as plain data, without its numbers."""
    return {
        "site": str(vector.site),
        "operator": vector.operator,
        "positions": vector.positions,
        "strength": vector.strength,
        "norm": vector.norm,
        "shape": list(vector.values.shape),
        "force": vector.force,
        "made": dict(vector.made),
        "identity": vector.identity.to_dict(),
    }


def _sites(vectors: Vectors) -> str:
    """Return where vectors stand, in words: all of a few, the first and last of many."""
    sites = [str(vector.site) for vector in each_vector(vectors)]
    return ", ".join(sites) if len(sites) < 4 else f"{len(sites)} Sites from {sites[0]} to {sites[-1]}"


def _positions(vector: SteeringVector) -> str:
    places = vector.positions
    return POSITIONS[places] if isinstance(places, str) else f"tokens {', '.join(map(str, places))}"


def _column(model: Model, trial: Trial, strength: float) -> Completion:
    one = trial.completion
    return Completion(
        label=trial.label,
        strength=strength,
        tokens=_strings(model, one.tokens),
        touched=[position for position, touched in enumerate(one.touched) if touched],
        fluency=trial.perplexity,
    )


def _effect_row(result: Steered, effect: Effect) -> list[str | float | bool | None]:
    beaten = f"{effect.beaten} of {len(effect.randoms)}"
    shifts = [effect.steered_shift, effect.shift(effect.flipped), effect.prompting_shift]
    return [result.label, *shifts, beaten, result.ratio, effect.works]


def _trial(trial: Trial) -> dict[str, Any]:
    one = trial.completion
    return {
        "label": trial.label,
        "text": one.text,
        "tokens": one.tokens,
        "stopped_by": one.stopped_by,
        "n_touched": sum(one.touched),
        "perplexity": trial.perplexity,
    }


def _strings(model: Model, tokens: Sequence[int]) -> list[str]:
    return model.tokenizer.token_strings(tokens) if model.tokenizer else [str(token) for token in tokens]
