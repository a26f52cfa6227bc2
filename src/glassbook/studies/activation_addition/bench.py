"""What every arm of the study stands on: the model, the vectors, the sentences in two halves, and what is kept of a choice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from glassbook.files.atomic import write_json
from glassbook.models.model import Model
from glassbook.steering.controls import random_like
from glassbook.steering.recipes import actadd_set, padded_pair
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from glassbook.studies.activation_addition.opening import n_parameters, opened
from glassbook.studies.activation_addition.ratios import Logs, SentenceGauge
from glassbook.studies.activation_addition.settings import Settings, layer_at
from glassbook.studies.activation_addition.texts import (
    FILES,
    OFF_TOPIC,
    ON_TOPIC,
    TEXTS,
    checksum,
    licence,
    n_rows,
    sentences,
)
from glassbook.studies.contract import Cell
from glassbook.tasks.contrast import split_half

Columns = dict[str, NDArray[np.float64]]
Place = tuple[int, float]
"""A layer and a strength."""

TOPIC, NOTHING = " weddings", " "
PUBLISHED_LAYER, EARLY_LAYER = 16, 6
BREAKING = 32.0
"""So many times a strength is meant to break the model: the control that must lose facts and fluency."""
CHOICE_FILE = "choice.json"


@dataclass(frozen=True)
class Bench:
    """One cell of the study at work: its model, and of the two essays the part to choose on and the half to tell.

    `whole` holds all sentences of the four texts, `essays` those of the two.
    """

    cell: Cell
    model: Model
    choosing: SentenceGauge
    told: SentenceGauge
    whole: SentenceGauge
    essays: SentenceGauge

    @classmethod
    def of(cls, cell: Cell) -> "Bench":
        """Return the bench of a cell, its data and weights recorded."""
        settings: Settings = cell.settings
        model = opened(settings.model, settings.dtype, cell.device)
        note_sources(cell, model)
        front = len(padded_pair(model, TOPIC, NOTHING)[0])
        texts = {name: _rows(model, name, settings.n_sentences) for name in FILES}
        halves = {name: split_half(texts[name], cell.seed) for name in (ON_TOPIC, OFF_TOPIC)}
        choosing = {name: half[0][: settings.n_choosing or None] for name, half in halves.items()}
        told = {name: half[1] for name, half in halves.items()}
        essays = {name: texts[name] for name in halves}
        return cls(cell, model, *(SentenceGauge(model, one, front) for one in (choosing, told, texts, essays)))

    @property
    def settings(self) -> Settings:
        """Return the settings of the study."""
        settings: Settings = self.cell.settings
        return settings

    @property
    def published_layer(self) -> int:
        """Return the layer as far up as the paper's 16 of 48."""
        return layer_at(PUBLISHED_LAYER, self.model.config.n_layers)

    def vectors(self, layers: Sequence[int], positive: str = TOPIC, negative: str = NOTHING) -> VectorSet:
        """Return the ActAdd vectors of a pair of prompts at several layers."""
        return actadd_set(self.model, positive, negative, [f"L{layer}.resid_pre" for layer in layers])

    def vector(self, layer: int, positive: str = TOPIC, negative: str = NOTHING) -> SteeringVector:
        """Return the ActAdd vector of a pair of prompts at one layer."""
        return self.vectors([layer], positive, negative).vectors[0]

    def randoms(self, vector: SteeringVector, n: int) -> list[SteeringVector]:
        """Return random directions with the norm of a vector in every row; the same ones at every layer of a seed."""
        return [random_like(vector, self.cell.seed, number) for number in range(n)]

    def finish(self, columns: Mapping[str, object]) -> Columns:
        """Return columns as arrays, after what they cost has been noted."""
        gauges = (self.choosing, self.told, self.whole, self.essays)
        note_cost(self.cell, self.model, sum(gauge.n_read for gauge in gauges))
        return {name: np.atleast_1d(np.asarray(values, dtype=np.float64)) for name, values in columns.items()}


def note_sources(cell: Cell, model: Model) -> None:
    """Record the texts and the weights that a cell reads."""
    cell.data(TEXTS, checksum(TEXTS), n_rows(TEXTS), licence(TEXTS))
    cell.weights(model.identity.to_dict())


def note_cost(cell: Cell, model: Model, n_tokens: int) -> None:
    """Record tokens read and, at two operations a weight and token, an upper bound of the operations."""
    n = n_parameters(model)
    cell.cost(flop=2.0 * n * n_tokens, tokens=n_tokens, parameters=n)


def named(prefix: str, logs: Logs, suffix: str = "") -> dict[str, NDArray[np.float64]]:
    """Return the sentences of every text as columns `<prefix>_<text><suffix>`."""
    return {f"{prefix}_{name}{suffix}": values for name, values in logs.items()}


class Choice(msgspec.Struct, frozen=True):
    """A cell that was chosen, and what every cell of the grid did on the choosing half: logarithms on and off topic."""

    layer: int
    strength: float
    grid: list[tuple[int, float, float, float]]

    @property
    def place(self) -> Place:
        """Return layer and strength."""
        return self.layer, self.strength


def keep_choice(folder: Path, choice: Choice) -> None:
    """Write a choice to the folder of its cell, for the arms that come after it."""
    write_json(folder / CHOICE_FILE, msgspec.to_builtins(choice))


def read_choice(folder: Path) -> Choice:
    """Return the choice that an earlier arm made."""
    return msgspec.json.decode((folder / CHOICE_FILE).read_bytes(), type=Choice)


def steps(cell: Cell, items: Sequence[int], what: str) -> Iterator[int]:
    """Yield items while telling how far the cell is."""
    for done, item in enumerate(items):
        cell.progress(done, len(items), what)
        yield item


def _rows(model: Model, name: str, n: int) -> list[list[int]]:
    """Return the sentences of a text as ids, those of a single token left out, at most `n` of them if `n` is not 0."""
    rows = [model.read(one, prepend_bos=False).row(0) for one in sentences(name)]
    rows = [row for row in rows if len(row) > 1]
    return rows[:n] if n else rows
