"""One steering effect beside everything it must be held against, and the sentence that may be said about it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from glassbook.core.errors import InputError
from glassbook.models.generation import Completion
from glassbook.models.model import Model
from glassbook.steering.controls import random_directions
from glassbook.steering.effects import Progress, choice_log_odds
from glassbook.steering.fluency import completion_perplexity
from glassbook.steering.vector_set import Vectors
from glassbook.tasks.contrast import ChoiceItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Log-odds in nats, item by item: without steering, with it, and under each control.

    `prompted` is what an instruction in front of the prompt does instead of steering.
    """

    label: str
    unsteered: list[float]
    steered: list[float]
    flipped: list[float]
    randoms: list[list[float]]
    prompted: list[float] | None
    instruction: str

    def shift(self, values: Sequence[float]) -> float:
        """Return the mean difference from the unsteered model, in nats."""
        return sum(a - b for a, b in zip(values, self.unsteered, strict=True)) / len(self.unsteered)

    @property
    def steered_shift(self) -> float:
        """Return what the vector does."""
        return self.shift(self.steered)

    @property
    def random_shifts(self) -> list[float]:
        """Return what each random direction of the same norm does."""
        return [self.shift(values) for values in self.randoms]

    @property
    def beaten(self) -> int:
        """Return how many random directions move the log-odds less far up than the vector does."""
        return sum(self.steered_shift > shift for shift in self.random_shifts)

    @property
    def prompting_shift(self) -> float | None:
        """Return what the instruction does, or None where none was tried."""
        return None if self.prompted is None else self.shift(self.prompted)

    @property
    def works(self) -> bool:
        """Return whether the vector beats every random direction and its flipped sign moves the other way."""
        return self.beaten == len(self.randoms) and self.shift(self.flipped) < 0 < self.steered_shift

    @property
    def loses_to_prompting(self) -> bool:
        """Return whether an instruction was tried and moved the log-odds further up than the vector did."""
        return self.prompting_shift is not None and self.prompting_shift > self.steered_shift

    def to_dict(self) -> dict[str, Any]:
        """Return every number, the derived ones too."""
        shifts = {"steered_shift": self.steered_shift, "flipped_shift": self.shift(self.flipped)}
        shifts |= {"random_shifts": self.random_shifts, "prompting_shift": self.prompting_shift}  # type: ignore[dict-item]
        return asdict(self) | shifts | {"beaten": self.beaten, "works": self.works}


def measure_effect(
    model: Model,
    vector: Vectors,
    items: Sequence[ChoiceItem],
    *,
    label: str,
    n_random: int = 20,
    instruction: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> Effect:
    """Return the vector's effect on held-out choices beside random directions, the flipped sign and prompting."""
    if n_random < 1:
        raise InputError(
            f"n_random = {n_random} cannot be used; an effect is held against at least one random direction"
        )
    steers = [None, vector, -vector, *random_directions(vector, n_random, seed)]
    odds = choice_log_odds(model, items, steers, progress=progress).tolist()
    # The instruction is read behind the same document start as the steered prompts.
    bos = True if vector.needs_bos else None
    prompted = (
        choice_log_odds(model, items, instruction=instruction, prepend_bos=bos)[0].tolist() if instruction else None
    )
    return Effect(
        label=label,
        unsteered=odds[0],
        steered=odds[1],
        flipped=odds[2],
        randoms=odds[3:],
        prompted=prompted,
        instruction=instruction,
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One completion with its fluency: perplexity under the unsteered model."""

    label: str
    completion: Completion
    perplexity: float


def complete_both(model: Model, prompt: str, vector: Vectors, **options: Any) -> tuple[Trial, Trial]:
    """Return the unsteered and the steered completion of a prompt, drawn with the same options and seed."""
    plain = model.complete(prompt, prepend_bos=True if vector.needs_bos else None, **options)[0]
    steered = model.complete(prompt, steer=vector, **options)[0]
    return tuple(
        Trial(label, one, completion_perplexity(model, one.prompt_tokens, one.tokens))
        for label, one in (("unsteered", plain), ("steered", steered))
    )  # type: ignore[return-value]


def mean_perplexity(trials: Sequence[Trial]) -> float:
    """Return the geometric mean over trials that wrote anything."""
    logs = [math.log(trial.perplexity) for trial in trials if not math.isnan(trial.perplexity)]
    return math.exp(sum(logs) / len(logs)) if logs else float("nan")


def say(effect: Effect, ratio: float) -> str:
    """Return the sentence a scientist may say about the effect; `ratio` is its perplexity cost on unrelated text."""
    n, shifts = len(effect.randoms), effect.random_shifts
    spread = torch.tensor(shifts).std().item() if n > 1 else float("nan")
    parts = [
        f"{effect.label} moved the log-odds of the positive word by {effect.steered_shift:+.2f} nats on "
        f"{len(effect.unsteered)} prompts, further than {effect.beaten} of {n} random directions of the same norm "
        f"(mean {sum(shifts) / n:+.2f}, s.d. {spread:.2f})",
        f"the flipped sign moved it by {effect.shift(effect.flipped):+.2f}",
        f"perplexity on unrelated text became {ratio:.3f} times what it was",
    ]
    if effect.prompting_shift is not None:
        did = "did better" if effect.loses_to_prompting else "did less"
        parts.append(f"simply prompting with “{effect.instruction.strip()}” {did} ({effect.prompting_shift:+.2f})")
    else:
        parts.append("no instruction was tried")
    verdict = "" if effect.works else " This is a defeat: the effect does not stand out from its controls."
    return "; ".join(parts) + "." + verdict


def conclude(effects: Sequence[tuple[Effect, float]]) -> str:
    """Return one sentence over several effects, each with its perplexity ratio: what stood out, what lost, and at what price."""
    return "; ".join(_briefly(effect, ratio) for effect, ratio in effects) + "."


def _briefly(effect: Effect, ratio: float) -> str:
    verb = "stood out from its controls" if effect.works else "did not stand out from its controls"
    rank = f"{effect.beaten} of {len(effect.randoms)} random directions beaten"
    said = f"{effect.label} {verb} ({effect.steered_shift:+.2f} nats, {rank}, perplexity x {ratio:.2f})"
    if effect.prompting_shift is None:
        return said
    if effect.loses_to_prompting:
        return f"{said} but lost to a plain instruction ({effect.prompting_shift:+.2f})"
    return f"{said} and did more than a plain instruction ({effect.prompting_shift:+.2f})"
