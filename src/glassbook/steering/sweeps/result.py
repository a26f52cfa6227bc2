"""What a sweep found: the grid, the cell that was chosen, what it did on items it was not chosen on, and its controls."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from glassbook.stats import Interval, Rank, bootstrap_difference
from glassbook.steering.vector_set import Vectors

SweepVerdict = Literal[
    "works", "worse than prompting", "works but breaks fluency", "only breaks fluency", "does nothing"
]

VERDICTS: dict[str, str] = {
    "works": "within the budget the effect stands out from its controls, and no plain instruction did better",
    "worse than prompting": "within the budget the effect stands out, but a plain instruction did better",
    "works but breaks fluency": "the effect stands out only where unrelated text costs more than the budget",
    "only breaks fluency": "the effect stands out nowhere, and the cell where it is largest costs more than the budget",
    "does nothing": "the effect stands out nowhere, and the cell where it is largest is within the budget",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One layer and strength of the grid: what a direction did there on the items that the choice is made on.

    `effect` is the mean shift from the unsteered model, None where it could not be measured; `failure` then says why. The
    cost is on unrelated text; it is None where nobody needed it (random directions are priced only as the choice asks).
    """

    layer: int
    strength: float
    effect: float | None
    perplexity_ratio: float | None = None
    kl: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One direction after the choice: its cell, and what it did there on the other half of the items and of the text.

    `shifts` holds one number an item, steered minus unsteered; it is empty where the cell failed.
    """

    name: str
    cell: Cell
    within_budget: bool
    shifts: tuple[float, ...]
    perplexity_ratio: float
    kl: float
    failure: str = ""

    @property
    def effect(self) -> float | None:
        """Return the mean shift over the held-out items, or None where it could not be measured."""
        return sum(self.shifts) / len(self.shifts) if self.shifts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A choice by one rule and its controls, every one of which went through the same choice over the same grid.

    `budget` is the perplexity ratio that a cell may cost, infinity for the choice that asks for effect alone. `flipped` is
    the flipped sign through the choice, `flipped_here` the flipped sign at the vector's own cell.
    """

    budget: float
    vector: Outcome
    flipped: Outcome
    flipped_here: Outcome
    randoms: tuple[Outcome, ...]
    interval: Interval | None
    rank: Rank | None

    @property
    def stands_out(self) -> bool:
        """Return whether the held-out effect is above 0, above the flipped sign's, and rarer than 1 in 20 among random ones."""
        if self.interval is None or self.rank is None or self.vector.effect is None:
            return False
        flipped = self.flipped_here.effect
        beats_flipped = flipped is None or self.vector.effect > flipped
        return self.interval.lies_above(0.0) and self.rank.p <= 0.05 and beats_flipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was generated at one cell, and how fluent it is.

    `perplexity` is that of the completions under the unsteered model, a geometric mean; `repetition` and `distinct_2` are of
    their tokens; `perplexity_ratio` and `kl` are on unrelated text, 1 and 0 where nothing steers. `role` is one of
    unsteered, vector, neighbor, flipped, random, prompted.
    """

    role: str
    label: str
    layer: int | None
    strength: float | None
    completions: tuple[str, ...]
    perplexity: float
    repetition: float
    distinct_1: float
    distinct_2: float
    perplexity_ratio: float | None
    kl: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Everything that a sweep measured. `vector` is the direction at its chosen cell and strength, ready to steer with.

    `effect` names what was measured, in `unit`; `settings` are all that shaped the numbers; `split` says which rows made the
    direction, which the choice was made on and which it is reported on. `grid`, `flipped_grid` and `frontier` (the cells
    that no other dominates, from the cheapest on) are of the half that the choice saw; everything in `chosen` and
    `unbounded` (the same choice without a budget) is of the other. `prompted` holds what an instruction alone does to each
    held-out item; None where there was none.
    """

    label: str
    effect: str
    unit: str
    settings: Mapping[str, Any]
    split: str
    layers: tuple[int, ...]
    strengths: tuple[float, ...]
    grid: tuple[Cell, ...]
    flipped_grid: tuple[Cell, ...]
    frontier: tuple[Cell, ...]
    chosen: Chosen
    unbounded: Chosen
    unsteered: tuple[float, ...]
    instruction: str
    prompted: tuple[float, ...] | None
    prompts: tuple[str, ...]
    written: tuple[Written, ...]
    vector: Vectors
    verdict: SweepVerdict
    sentence: str

    @property
    def budget(self) -> float:
        """Return the perplexity ratio on unrelated text that a cell may cost."""
        return self.chosen.budget

    @property
    def prompting_effect(self) -> float | None:
        """Return the mean of what the instruction alone does on the held-out items."""
        return sum(self.prompted) / len(self.prompted) if self.prompted else None

    @property
    def lead(self) -> Interval | None:
        """Return steering minus prompting, item by item; None where they cannot be paired."""
        return lead_over(self.chosen.vector, self.prompted, int(self.settings.get("seed", 0)))

    @property
    def prompting_did_better(self) -> bool | None:
        """Return whether the instruction alone did more than the vector at its cell; None where either is unknown."""
        ours, theirs = self.chosen.vector.effect, self.prompting_effect
        return None if ours is None or theirs is None else theirs > ours

    def cell(self, layer: int, strength: float) -> Cell:
        """Return a cell of the vector's grid."""
        return next(cell for cell in self.grid if (cell.layer, cell.strength) == (layer, strength))

    def to_dict(self) -> dict[str, Any]:
        """Return every number, the derived ones too; the vector itself is left out."""
        names = [name for name in self.__slots__ if name not in ("vector", "chosen", "unbounded")]
        plain: dict[str, Any] = {name: _plain(getattr(self, name)) for name in names}
        plain |= {"chosen": _choice(self.chosen), "unbounded": _choice(self.unbounded)}
        return plain | {
            "prompting_effect": self.prompting_effect,
            "prompting_did_better": self.prompting_did_better,
            "lead": None if self.lead is None else asdict(self.lead),
        }


def lead_over(ours: Outcome, prompted: Sequence[float] | None, seed: int) -> Interval | None:
    """Return what steering did more than an instruction, item by item, with its interval; None where there are no pairs."""
    if not prompted or len(ours.shifts) != len(prompted):
        return None
    return bootstrap_difference(ours.shifts, prompted, seed=seed)


def _choice(one: Chosen) -> dict[str, Any]:
    outcomes = {name: _outcome(getattr(one, name)) for name in ("vector", "flipped", "flipped_here")}
    return {
        "budget": one.budget,
        **outcomes,
        "randoms": [_outcome(random) for random in one.randoms],
        "interval": None if one.interval is None else asdict(one.interval),
        "beaten": None if one.rank is None else one.rank.beaten,
        "n_random": len(one.randoms),
        "p": None if one.rank is None else one.rank.p,
        "stands_out": one.stands_out,
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    return asdict(one) | {"effect": one.effect, "shifts": list(one.shifts)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if isinstance(value, Cell | Written) else dict(value) if isinstance(value, Mapping) else value
