"""Stage 1: every cell of the grid by teacher forcing, and each direction's chosen cell on items that it was not chosen on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from glassbook.models.model import Model
from glassbook.steering.controls import random_like
from glassbook.steering.fluency import TextCost, TextGauge
from glassbook.steering.sweeps.effects import Measure, Scores
from glassbook.steering.sweeps.journal import Journal
from glassbook.steering.sweeps.settings import Progress
from glassbook.steering.vector_set import Vectors, VectorSet
from glassbook.steering.vectors import SteeringVector

Place = tuple[int, float]
"""A layer and a strength."""

VECTOR, FLIPPED = "vector", "flipped"


@dataclass(frozen=True, slots=True)
class Directions:
    """The vector at every layer, its flipped sign, and random directions of the same norm, each by its name."""

    vectors: Mapping[int, Vectors]
    seed: int
    n_random: int

    @property
    def randoms(self) -> list[str]:
        """Return the names of the random directions."""
        return [f"random {number}" for number in range(self.n_random)]

    @property
    def names(self) -> list[str]:
        """Return the names of all directions."""
        return [VECTOR, FLIPPED, *self.randoms]

    def steer(self, name: str, place: Place) -> Vectors:
        """Return a direction at a layer and strength."""
        layer, strength = place
        ours = self.vectors[layer]
        if name in (VECTOR, FLIPPED):
            return ours * (strength if name == VECTOR else -strength)
        number = int(name.removeprefix("random "))
        # In a set every Site has a random direction of its own.
        drawn = random_like(VectorSet((ours,)) if isinstance(ours, SteeringVector) else ours, self.seed, number)
        return (drawn.vectors[0] if isinstance(ours, SteeringVector) else drawn) * strength


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One half of the items and of the unrelated text."""

    name: str
    measure: Measure
    gauge: TextGauge


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all stages of a sweep share. What has been measured is taken from the journal and not measured again."""

    model: Model
    directions: Directions
    strengths: tuple[float, ...]
    journal: Journal
    tell: Progress

    @property
    def places(self) -> list[Place]:
        """Return the cells of the grid, from the lowest layer up."""
        return [(layer, strength) for layer in sorted(self.directions.vectors) for strength in self.strengths]

    def unsteered(self, half: Half) -> Scores:
        """Return what the items say without steering."""
        return self._scores(half.measure, {f"{half.name}/unsteered": None})[0]

    def told(self, half: Half, prompted: Measure | None) -> Scores | None:
        """Return what the items say behind an instruction, as `prompted` measures it; None where there is none."""
        return None if prompted is None else self._scores(prompted, {f"{half.name}/prompted": None})[0]

    def grid(self, half: Half, cells_at_once: int = 16) -> dict[str, dict[Place, Scores]]:
        """Return every direction's scores in every cell, layer by layer upward."""
        found: dict[str, dict[Place, Scores]] = {name: {} for name in self.directions.names}
        units = list(self._units(cells_at_once))
        done, total = 0, len(self.places) * len(self.directions.names)
        for unit in units:
            keys = [_key(half, name, place) for name, place in unit]
            steers = [self.directions.steer(name, place) for name, place in unit]
            for (name, place), scores in zip(
                unit, self._scores(half.measure, dict(zip(keys, steers, strict=True))), strict=True
            ):
                found[name][place] = scores
            done += len(unit)
            self.tell("grid of layers and strengths", done, total)
        return found

    def scores(self, half: Half, name: str, place: Place) -> Scores:
        """Return a direction's scores in one cell."""
        return self._scores(half.measure, {_key(half, name, place): self.directions.steer(name, place)})[0]

    def cost(self, half: Half, name: str, place: Place) -> TextCost:
        """Return what a direction costs in one cell on unrelated text."""
        key = f"cost/{_key(half, name, place)}"
        if key not in self.journal:
            cost = half.gauge.cost(self.directions.steer(name, place))
            self.journal.put({key: [cost.perplexity_ratio, cost.kl]})
        ratio, kl = self.journal[key]
        return TextCost(perplexity_ratio=float(ratio), kl=float(kl))

    def _units(self, cells_at_once: int) -> Iterator[list[tuple[str, Place]]]:
        """Yield the cells that are measured together: of one layer, always the same, whatever is known already."""
        for layer in sorted(self.directions.vectors):
            cells = [(name, (layer, strength)) for name in self.directions.names for strength in self.strengths]
            for first in range(0, len(cells), cells_at_once):
                yield cells[first : first + cells_at_once]

    def _scores(self, measure: Measure, steers: Mapping[str, Vectors | None]) -> list[Scores]:
        if not all(key in self.journal for key in steers):
            found = measure.scores(list(steers.values()))
            self.journal.put({key: [one.values, one.failure] for key, one in zip(steers, found, strict=True)})
        return [Scores(tuple(map(float, values)), failure) for values, failure in (self.journal[key] for key in steers)]


def shifts(scores: Scores, unsteered: Scores) -> tuple[float, ...]:
    """Return what steering did to each item; nothing where it failed."""
    return tuple(a - b for a, b in zip(scores.values, unsteered.values, strict=True)) if scores.values else ()


def _key(half: Half, name: str, place: Place) -> str:
    layer, strength = place
    return f"{half.name}/{name}/L{layer}/{strength!r}"
