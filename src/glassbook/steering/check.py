"""`check`: what a vector from elsewhere does, beside everything it must be held against, and how strong it may become.

Nothing is chosen here: layers and strength are those that the vector came with or that its user asked for.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from glassbook.core.errors import InputError
from glassbook.models.model import Model
from glassbook.stats import Interval, Rank, bootstrap, rank_among
from glassbook.steering.check_words import CheckVerdict, Measured, judge, say_check
from glassbook.steering.comparison import Effect, Trial, complete_both, measure_effect
from glassbook.steering.controls import random_directions
from glassbook.steering.effects import Progress, choice_log_odds
from glassbook.steering.fluency import TextCost, TextGauge, distinct_n, repetition
from glassbook.steering.strengths import Crossing, Dose, climb_ladder, cross
from glassbook.steering.vector_set import Vectors
from glassbook.tasks.contrast import ChoiceItem

PROMPTS = ("I think the people next door are", "When we got to the hotel, the room was")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPlan:
    """How a vector is checked; `budget` and `broken` are perplexities on unrelated text, over the unsteered model's."""

    n_random: int = 20
    seed: int = 0
    instruction: str = ""
    prompts: Sequence[str] = PROMPTS
    max_new_tokens: int = 32
    temperature: float = 0.7
    budget: float = 1.1
    broken: float = 2.0

    def __post_init__(self) -> None:
        if self.n_random < 1:
            raise InputError(f"n_random = {self.n_random} cannot be used; hold the vector against some 20 directions")
        if not 1 < self.budget < self.broken:
            raise InputError(
                f"a budget of {self.budget:g} with {self.broken:g} as broken cannot be used; "
                f"give perplexity ratios with 1 < budget < broken, such as 1.1 and 2"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One prompt, completed without and with the vector, with how each repeats itself."""

    prompt: str
    plain: Trial
    steered: Trial

    def fluency(self) -> dict[str, dict[str, float]]:
        """Return perplexity under the unsteered model, repeated runs of 4 tokens and distinct pairs, for both."""
        return {
            trial.label: {
                "perplexity": trial.perplexity,
                "repetition": repetition(trial.completion.tokens),
                "distinct_2": distinct_n([trial.completion.tokens], 2),
            }
            for trial in (self.plain, self.steered)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """All that was measured of one vector; effects are shifts of log-odds in nats, None where no pairs were given.

    `doses` run over multiples of the strength that was checked; `dose_effects` holds their effects where a whole rung was
    measured on the pairs.
    """

    label: str
    vectors: Vectors
    effect: Effect | None
    interval: Interval | None
    flipped_interval: Interval | None
    cost: TextCost
    flipped_cost: TextCost
    random_costs: list[TextCost]
    doses: list[Dose]
    dose_effects: dict[float, Interval]
    budget: Crossing
    broken: Crossing
    written: list[Written]

    @property
    def measured(self) -> Measured:
        """Return what the verdict and the sentence rest on."""
        return Measured(
            effect=self.effect,
            interval=self.interval,
            flipped_interval=self.flipped_interval,
            cost=self.cost,
            kl_rank=self.kl_rank,
            budget=self.budget,
            broken=self.broken,
        )

    @property
    def kl_rank(self) -> Rank:
        """Return how many random directions change the predictions on unrelated text less."""
        return rank_among(_finite(self.cost.kl), [_finite(cost.kl) for cost in self.random_costs])

    @property
    def verdict(self) -> CheckVerdict:
        """Return what the numbers come to."""
        return judge(self.measured)

    @property
    def sentence(self) -> str:
        """Return the verdict and every number that it rests on."""
        return say_check(self.label, self.verdict, self.measured)

    def to_dict(self) -> dict[str, Any]:
        """Return every number, the derived ones too."""
        return {
            "label": self.label,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "effect": None if self.effect is None else self.effect.to_dict(),
            "interval": None if self.interval is None else asdict(self.interval),
            "flipped_interval": None if self.flipped_interval is None else asdict(self.flipped_interval),
            "cost": asdict(self.cost),
            "flipped_cost": asdict(self.flipped_cost),
            "random_costs": [asdict(cost) for cost in self.random_costs],
            "kl_rank": asdict(self.kl_rank),
            "doses": [self._dose(dose) for dose in self.doses],
            "budget": asdict(self.budget) | {"multiple": self.budget.multiple},
            "broken": asdict(self.broken) | {"multiple": self.broken.multiple},
            "written": [
                {"prompt": one.prompt, "plain": one.plain.completion.text, "steered": one.steered.completion.text}
                | {"fluency": one.fluency()}
                for one in self.written
            ],
        }

    def _dose(self, dose: Dose) -> dict[str, Any]:
        effect = self.dose_effects.get(dose.multiple)
        return {"multiple": dose.multiple} | asdict(dose.cost) | {"effect": None if effect is None else asdict(effect)}


def check_vectors(
    model: Model,
    vectors: Vectors,
    items: Sequence[ChoiceItem],
    windows: Sequence[Sequence[int]],
    *,
    label: str = "the vector",
    plan: CheckPlan | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Return what the vectors do at the strength they have: on `items` where there are any, and on windows of unrelated text.

    Raises VectorError where they do not fit the model, InputError for items or windows that cannot be read.
    """
    plan = plan or CheckPlan()
    check_items(model, items)
    # Zeros need no pairs to be found out, and have no direction that could be held against others.
    effect = _effect(model, vectors, items, label, plan, progress) if items and vectors.norm > 0 else None
    randoms = random_directions(vectors, plan.n_random, plan.seed)
    gauge = TextGauge(model, windows, [vectors])
    costs = []
    for number, one in enumerate([vectors, -vectors, *randoms]):
        costs.append(gauge.cost(one))
        _tell(progress, "unrelated text", number + 1, plan.n_random + 2)
    price = _Prices(gauge, vectors, costs[0], progress)
    rungs = climb_ladder(price, plan.budget, plan.broken)
    (budget, finer), (broken, finest) = (cross(price, rungs, line) for line in (plan.budget, plan.broken))
    doses = {dose.multiple: dose for dose in (*rungs, *finer, *finest)}
    return CheckReport(
        label=label,
        vectors=vectors,
        effect=effect,
        interval=_interval(effect.steered, effect, plan) if effect else None,
        flipped_interval=_interval(effect.flipped, effect, plan) if effect else None,
        cost=costs[0],
        flipped_cost=costs[1],
        random_costs=costs[2:],
        doses=sorted(doses.values(), key=lambda dose: dose.multiple),
        dose_effects=_dose_effects(model, vectors, items, effect, rungs, plan) if effect else {},
        budget=budget,
        broken=broken,
        written=_written(model, vectors, plan),
    )


def check_items(model: Model, items: Sequence[ChoiceItem]) -> None:
    """Raise InputError for an item whose prompt or options are no tokens, or the same ones twice."""
    for number, item in enumerate(items):
        if not item.prompt:
            raise InputError(f"item {number} has an empty prompt; give at least one token of text before the options")
        options = [model.read(option, False).row(0) if option else [] for option in (item.positive, item.negative)]
        if not all(options) or options[0] == options[1]:
            why = "an option that tokenizes to nothing" if not all(options) else "two options of the same tokens"
            raise InputError(f"item {number} (“{item.prompt[:60]}”) has {why}; give two different ways to go on")


class _Prices:
    """What multiples of a vector cost; the vector itself is known already."""

    def __init__(self, gauge: TextGauge, vectors: Vectors, known: TextCost, progress: Progress | None) -> None:
        self.gauge, self.vectors, self.progress = gauge, vectors, progress
        self.known = {1.0: known}

    def __call__(self, multiple: float) -> TextCost:
        if multiple not in self.known:
            self.known[multiple] = self.gauge.cost(multiple * self.vectors)
            _tell(self.progress, "strengths", len(self.known), 16)
        return self.known[multiple]


def _effect(
    model: Model, vectors: Vectors, items: Sequence[ChoiceItem], label: str, plan: CheckPlan, progress: Progress | None
) -> Effect:
    effect = measure_effect(
        model,
        vectors,
        items,
        label=label,
        n_random=plan.n_random,
        instruction=plan.instruction,
        seed=plan.seed,
        progress=progress,
    )
    if not torch.tensor([effect.steered, effect.flipped, *effect.randoms]).isfinite().all():
        raise InputError(
            f"at this strength the log-odds under {label} or its controls are no numbers; use a smaller one"
        )
    return effect


def _interval(values: Sequence[float], effect: Effect, plan: CheckPlan) -> Interval:
    shifts = [a - b for a, b in zip(values, effect.unsteered, strict=True)]
    return bootstrap(shifts, seed=plan.seed)


def _dose_effects(
    model: Model,
    vectors: Vectors,
    items: Sequence[ChoiceItem],
    effect: Effect,
    rungs: Sequence[Dose],
    plan: CheckPlan,
) -> dict[float, Interval]:
    """Return the effect at every rung with its interval; a rung at which the log-odds are no numbers has none."""
    odds = choice_log_odds(model, items, [dose.multiple * vectors for dose in rungs])
    rows = {dose.multiple: row.tolist() for dose, row in zip(rungs, odds, strict=True) if bool(row.isfinite().all())}
    return {multiple: _interval(row, effect, plan) for multiple, row in rows.items()}


def _written(model: Model, vectors: Vectors, plan: CheckPlan) -> list[Written]:
    how: dict[str, Any] = {"max_new_tokens": plan.max_new_tokens, "temperature": plan.temperature, "seed": plan.seed}
    pairs = [(prompt, *complete_both(model, prompt, vectors, **how)) for prompt in plan.prompts]
    return [Written(prompt=prompt, plain=plain, steered=steered) for prompt, plain, steered in pairs]


def _finite(value: float) -> float:
    """Return the number, or the largest there is for what overflowed: it changed more than any number says."""
    return float(torch.tensor(value).nan_to_num(nan=3e38, posinf=3e38))


def _tell(progress: Progress | None, label: str, done: int, total: int) -> None:
    if progress is not None:
        progress(label, min(done, total), total)
