"""Steering how a text feels: the choice between a good and a bad word, and continuations rated by a lexicon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from glassbook.files.hashes import hash_json
from glassbook.steering.effects import choice_log_odds
from glassbook.steering.vector_set import Vectors
from glassbook.steering.vectors import SteeringVector
from glassbook.studies.activation_addition.bench import EARLY_LAYER, Bench, Columns, note_cost
from glassbook.studies.activation_addition.ratios import SentenceGauge
from glassbook.studies.activation_addition.settings import layer_at
from glassbook.studies.activation_addition.texts import LEXICON, OFF_TOPIC, checksum, licence, n_rows, valence
from glassbook.studies.activation_addition.writing import Writer, write
from glassbook.studies.contract import Cell
from glassbook.tasks.contrast import ChoiceItem, load_choices, split_half

PAIRS = {"love_hate": ("Love", "Hate"), "praise_hurt": ("Intent to praise", "Intent to hurt")}
CHOICES = "sentiment_choices"
TOKENS_PER_CHOICE = 14


def choices_checksum() -> str:
    """Return the SHA-256 of the choices as they are now."""
    return hash_json([[item.prompt, item.positive, item.negative] for item in load_choices("sentiment").items])


@dataclass(frozen=True)
class Halves:
    """Choices to choose a cell on, others to tell of, and what stands before a prompt to ask for the good word."""

    choosing: list[ChoiceItem]
    told: list[ChoiceItem]
    instruction: str

    @classmethod
    def of(cls, cell: Cell) -> "Halves":
        """Return the package's choices in two halves."""
        choices = load_choices("sentiment")
        cell.data(CHOICES, choices_checksum(), len(choices.items), choices.licence)
        n = cell.settings.n_prompts
        return cls(*split_half(choices.items[:n] if n else choices.items, cell.seed), choices.instruction)


def measure_sentiment(cell: Cell) -> Columns:
    """Return log-odds of the good word (`odds_<who>`) and rated continuations (`written_<who>`) on the told half.

    Each pair of prompts chooses its cell on the other half: the largest mean shift among cells whose ratio on the shipping
    sentences is within the budget for writing. The controls stand in the cell of Love - Hate, which also does the writing.
    """
    bench, halves = Bench.of(cell), Halves.of(cell)
    cell.data(LEXICON, checksum(LEXICON), n_rows(LEXICON), licence(LEXICON))
    chosen = {name: _choose(bench, pair, halves.choosing) for name, pair in PAIRS.items()}
    ours = chosen["love_hate"]
    randoms = bench.randoms(ours, bench.settings.n_random)
    steers: list[Vectors | None] = [None, *chosen.values(), -ours, *randoms]
    odds = choice_log_odds(bench.model, halves.told, steers).double().numpy()
    columns: dict[str, object] = {f"odds_{name}": row for name, row in zip(("unsteered", *PAIRS), odds, strict=False)}
    columns |= {"odds_flipped": odds[len(PAIRS) + 1], "odds_random": odds[len(PAIRS) + 2 :].mean(0)}
    told = choice_log_odds(bench.model, halves.told, instruction=halves.instruction, prepend_bos=True)
    columns["odds_instruction"] = told[0].double().numpy()
    columns |= write(bench, [item.prompt for item in halves.told], _writers(ours, randoms, halves), valence)
    for name, vector in chosen.items():
        columns |= {f"layer_{name}": vector.site.layer, f"strength_{name}": vector.strength}
    tokens = (len(steers) + 1) * TOKENS_PER_CHOICE + 5 * 3 * bench.settings.n_tokens
    note_cost(cell, bench.model, len(halves.told) * tokens)
    return bench.finish(columns)


def _writers(ours: SteeringVector, randoms: Sequence[SteeringVector], halves: Halves) -> dict[str, Writer]:
    n = len(halves.told)
    return {
        "unsteered": Writer([None] * n),
        "love_hate": Writer([ours] * n),
        "flipped": Writer([-ours] * n),
        "random": Writer([randoms[i % len(randoms)] for i in range(n)]),
        "instruction": Writer([None] * n, halves.instruction),
    }


def _choose(bench: Bench, pair: tuple[str, str], items: Sequence[ChoiceItem]) -> SteeringVector:
    """Return the pair's vector in the cell that moves the choices most within the budget; else in the cheapest cell."""
    settings = bench.settings
    layers = sorted({layer_at(EARLY_LAYER, bench.model.config.n_layers), *settings.layers[:2]})
    vectors = bench.vectors(layers, *pair)
    gauge = SentenceGauge(bench.model, {OFF_TOPIC: bench.choosing.texts[OFF_TOPIC]}, len(vectors.vectors[0].table))
    found: list[tuple[float, float, SteeringVector]] = []
    for vector in vectors:
        steers = [strength * vector for strength in settings.strengths_sentiment]
        odds = choice_log_odds(bench.model, items, [None, *steers])
        moved = (odds[1:] - odds[0]).mean(1).tolist()
        costs = [float(one[OFF_TOPIC].mean()) for one in gauge.log_ratios(steers)]
        found += zip(moved, costs, steers, strict=True)
    within = [one for one in found if one[1] <= math.log(settings.budget_writing)]
    return max(within, key=lambda one: one[0])[2] if within else min(found, key=lambda one: one[1])[2]
