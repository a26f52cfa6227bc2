"""Stage 2: what is written at the chosen cell and its neighbors, beside every control, and how fluent that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from glassbook.models.generation import Completion
from glassbook.models.model import Model
from glassbook.steering.fluency import completion_perplexities, distinct_n, repetition
from glassbook.steering.sweeps.grid import FLIPPED, VECTOR, Bench, Half, Place
from glassbook.steering.sweeps.result import Written
from glassbook.steering.vector_set import PerRow, Vectors

_ROWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be written at one place: which direction, if any, and behind which instruction."""

    role: str
    label: str
    direction: str = ""
    place: Place | None = None
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Writing:
    """What every trial completes, how far, and whether behind the document-start token."""

    prompts: tuple[str, ...]
    n_tokens: int
    bos: bool | None


def neighbors(places: Sequence[Place], chosen: Place) -> list[Place]:
    """Return the two neighbors of a cell: the next weaker and the next stronger at its layer.

    Where its strength is at an edge of the grid, the nearest layer above, else below, at the same strength stands in;
    fewer than two where the grid has no more.
    """
    layer, strength = chosen
    strengths = sorted({one for _, one in places})
    layers = sorted({one for one, _ in places}, key=lambda one: (abs(one - layer), -one))
    at = strengths.index(strength)
    found = [(layer, strengths[i]) for i in (at - 1, at + 1) if 0 <= i < len(strengths)]
    found += [(other, strength) for other in layers if other != layer]
    return found[:2]


def trials_of(bench: Bench, chosen: Place, instruction: str) -> list[Trial]:
    """Return all that stage 2 writes: unsteered, the cell, its neighbors, flipped, random, and prompted."""
    found = [Trial("unsteered", "unsteered"), Trial("vector", "the vector", VECTOR, chosen)]
    for layer, strength in neighbors(bench.places, chosen):
        found.append(Trial("neighbor", f"layer {layer}, strength {strength:g}", VECTOR, (layer, strength)))
    found.append(Trial("flipped", "the flipped sign", FLIPPED, chosen))
    found += [Trial("random", name, name, chosen) for name in bench.directions.randoms]
    return [*found, Trial("prompted", "prompting alone", instruction=instruction)] if instruction else found


def write_trials(bench: Bench, half: Half, trials: Sequence[Trial], writing: Writing) -> tuple[Written, ...]:
    """Return what each trial wrote by greedy generation, with its fluency; what the journal holds is not written again."""
    if not all(f"written/{trial.label}" in bench.journal for trial in trials):
        rows = [(trial, prompt) for trial in trials for prompt in writing.prompts]
        done: list[Completion] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            done += _completed(bench, rows[first : first + _ROWS_AT_ONCE], writing)
            bench.tell("writing beside the controls", len(done), len(rows))
        n = len(writing.prompts)
        kept = [_row(bench, half, trial, done[i * n : (i + 1) * n]) for i, trial in enumerate(trials)]
        bench.journal.put({f"written/{trial.label}": row for trial, row in zip(trials, kept, strict=True)})
    return tuple(_read(bench.journal[f"written/{trial.label}"]) for trial in trials)


def _completed(bench: Bench, rows: Sequence[tuple[Trial, str]], writing: Writing) -> list[Completion]:
    steers: list[Vectors | None] = [
        None if trial.place is None else bench.directions.steer(trial.direction, trial.place) for trial, _ in rows
    ]
    texts = [trial.instruction + prompt for trial, prompt in rows]
    return bench.model.complete(
        texts,
        steer=PerRow(steers),
        prepend_bos=writing.bos,
        max_new_tokens=writing.n_tokens,
        temperature=0.0,
    )


def _row(bench: Bench, half: Half, trial: Trial, done: Sequence[Completion]) -> dict[str, object]:
    tokens = [one.tokens for one in done]
    cost = None if trial.place is None else bench.cost(half, trial.direction, trial.place)
    is_plain = trial.role == "unsteered"
    return {
        "role": trial.role,
        "label": trial.label,
        "layer": None if trial.place is None else trial.place[0],
        "strength": None if trial.place is None else trial.place[1],
        "completions": [one.text for one in done],
        "perplexity": geometric_perplexity(bench.model, done),
        "repetition": _mean([repetition(row) for row in tokens]),
        "distinct_1": distinct_n(tokens, 1),
        "distinct_2": distinct_n(tokens, 2),
        "perplexity_ratio": cost.perplexity_ratio if cost else (1.0 if is_plain else None),
        "kl": cost.kl if cost else (0.0 if is_plain else None),
    }


def geometric_perplexity(model: Model, done: Sequence[Completion]) -> float:
    """Return the geometric mean of the completions' perplexities under the unsteered model; NaN where nothing was written."""
    scored = completion_perplexities(model, [(one.prompt_tokens, one.tokens) for one in done if one.tokens])
    return math.exp(_mean([math.log(one) for one in scored])) if scored else float("nan")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


def _read(row: dict[str, object]) -> Written:
    """Return what a line of the journal holds, its numbers that are not finite read back from their words."""
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    values = {one.name: row[one.name] for one in fields(Written)}
    for name, value in values.items():
        if name not in ("role", "label") and isinstance(value, str):
            values[name] = words[value]
    return Written(**values | {"completions": tuple(row["completions"])})  # type: ignore[arg-type]
