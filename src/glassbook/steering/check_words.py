"""What may be said of a vector that was checked: the verdict by rule, and the sentence with every number it rests on."""

from dataclasses import dataclass
from typing import Literal

from glassbook.stats import Interval, Rank
from glassbook.steering.comparison import Effect
from glassbook.steering.fluency import TextCost
from glassbook.steering.strengths import Crossing

CheckVerdict = Literal[
    "works",
    "works but over the fluency budget",
    "works the other way",
    "does nothing",
    "only breaks fluency",
    "cannot be told",
]

ENOUGH_RANDOMS, ENOUGH_ITEMS = 19, 8
"""With 19 random directions chance wins once in 20; with fewer than 8 items an interval is far too narrow."""

NO_CHANGE = 1e-5
"""A divergence in nats per token that rounding alone may make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers that a verdict rests on; effect and intervals are None where no pairs were given."""

    effect: Effect | None
    interval: Interval | None
    flipped_interval: Interval | None
    cost: TextCost
    kl_rank: Rank
    budget: Crossing
    broken: Crossing

    @property
    def is_over_budget(self) -> bool:
        """Return whether the perplexity of unrelated text is beyond the budget, or no number at all."""
        return not self.cost.perplexity_ratio <= self.budget.line

    @property
    def stands_out(self) -> bool:
        """Return whether the effect beats every random direction, lies above nothing, and turns with the sign."""
        return bool(self.effect and self.interval and self.effect.works and self.interval.lies_above(0))

    @property
    def stands_out_flipped(self) -> bool:
        """Return whether the flipped sign does all that."""
        if self.effect is None or self.flipped_interval is None:
            return False
        flipped = self.effect.shift(self.effect.flipped)
        beaten = flipped > max(self.effect.random_shifts)
        return beaten and self.flipped_interval.lies_above(0) and self.effect.steered_shift < 0


def judge(measured: Measured) -> CheckVerdict:
    """Return the verdict, a function of the measured numbers alone."""
    effect = measured.effect
    if effect is None:
        # A vector that changes no prediction can have no effect on any pair.
        return "does nothing" if measured.cost.kl < NO_CHANGE else "cannot be told"
    if len(effect.randoms) < ENOUGH_RANDOMS or len(effect.unsteered) < ENOUGH_ITEMS:
        return "cannot be told"
    if measured.stands_out:
        return "works but over the fluency budget" if measured.is_over_budget else "works"
    if measured.stands_out_flipped:
        return "works the other way"
    return "only breaks fluency" if measured.is_over_budget else "does nothing"


def say_check(label: str, verdict: CheckVerdict, measured: Measured) -> str:
    """Return the sentence: the verdict, effect, controls, cost, prompting, and whose choice the vector was."""
    head = "what it is good for cannot be told" if verdict == "cannot be told" else f"it {verdict}"
    parts = [f"{label}: {head}, since {_effect(measured)}", _text(measured), _limits(measured)]
    if measured.effect is not None:
        parts.append(_prompting(measured.effect))
    return "; ".join(parts) + f". {_ORIGIN}"


_ORIGIN = (
    "Nothing was chosen here: layers, strength and direction are as they came, with whatever care they were chosen elsewhere, "
    "and whether their maker saw these items is not known."
)


def _effect(measured: Measured) -> str:
    effect, interval = measured.effect, measured.interval
    if effect is None or interval is None:
        if measured.cost.kl < NO_CHANGE:
            return "it changes no prediction"
        return "no pairs were given to measure an effect on"
    n = len(effect.randoms)
    few = _few(effect)
    moved = (
        f"it moved the log-odds of the positive options by {interval.estimate:+.2f} nats (95 % interval {interval.low:+.2f} to "
        f"{interval.high:+.2f}, {interval.n} items), further than {effect.beaten} of {n} random directions of the same norms; "
        f"the flipped sign moved them by {effect.shift(effect.flipped):+.2f}"
    )
    return f"{few}; {moved}" if few else moved


def _few(effect: Effect) -> str:
    if len(effect.randoms) < ENOUGH_RANDOMS:
        return f"{len(effect.randoms)} random directions are too few to stand out from, {ENOUGH_RANDOMS} would do"
    if len(effect.unsteered) < ENOUGH_ITEMS:
        return f"{len(effect.unsteered)} items are too few for an interval, {ENOUGH_ITEMS} would do"
    return ""


def _text(measured: Measured) -> str:
    cost, rank = measured.cost, measured.kl_rank
    kept = "beyond" if measured.is_over_budget else "within"
    return (
        f"unrelated text cost {_times(cost.perplexity_ratio)} the perplexity, {kept} the budget of {measured.budget.line:g}, and "
        f"its predictions moved by {cost.kl:.3g} nats a token, more than under {rank.beaten} of {rank.n} random directions"
    )


def _limits(measured: Measured) -> str:
    broken = f"the point where coherence breaks (perplexity {measured.broken.line:g} times) {measured.broken.say()}"
    return f"the end of the budget {measured.budget.say()} and {broken}"


def _prompting(effect: Effect) -> str:
    if effect.prompting_shift is None:
        return "no plain instruction was tried"
    did = "did better" if effect.loses_to_prompting else "did less"
    return f"simply prompting with “{effect.instruction.strip()}” {did} ({effect.prompting_shift:+.2f} nats)"


def _times(ratio: float) -> str:
    return f"{ratio:.3f} times" if ratio < 1000 else "more than 1000 times"
