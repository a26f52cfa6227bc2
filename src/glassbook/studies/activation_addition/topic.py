"""Steering what a text is about: the probability of wedding words, and continuations that hold one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from glassbook.steering.vector_set import Vectors
from glassbook.steering.vectors import SteeringVector
from glassbook.studies.activation_addition.bench import BREAKING, EARLY_LAYER, TOPIC, Bench, Columns, note_cost
from glassbook.studies.activation_addition.material import OPENINGS
from glassbook.studies.activation_addition.perplexity import INSTRUCTION
from glassbook.studies.activation_addition.reading import NextTokens, single_tokens
from glassbook.studies.activation_addition.settings import layer_at
from glassbook.studies.activation_addition.texts import OFF_TOPIC, has_topic_word, topic_words
from glassbook.studies.activation_addition.writing import Writer, write
from glassbook.studies.contract import Cell
from glassbook.tasks.contrast import split_half


@dataclass(frozen=True)
class Openings:
    """Beginnings to choose a cell on, and others to tell of."""

    choosing: list[str]
    told: list[str]


def measure_topic(cell: Cell) -> Columns:
    """Return wedding words at the next token (`next_<who>`) and in continuations (`written_<who>`), with their fluency.

    The cell is chosen on one half of the beginnings by the probability of wedding words, among cells whose off-topic ratio on
    the choosing half is within the budget for writing; what is told is of the other half. Random directions stand in the
    same cell, at the next token all of them, in writing a different one for each beginning.
    """
    bench, n = Bench.of(cell), cell.settings.n_prompts
    halves = Openings(*split_half(OPENINGS[:n] if n else OPENINGS, cell.seed))
    place, vector = _choose(bench, halves.choosing)
    randoms = bench.randoms(vector, bench.settings.n_random)
    steers = {"actadd": vector, "flipped": -vector}
    columns = _next(bench, halves.told, steers, randoms)
    plain: list[Vectors | None] = [None] * len(halves.told)
    drawn = [randoms[i % len(randoms)] for i in range(len(plain))]
    writers = {
        "unsteered": Writer(plain),
        "actadd": Writer([vector] * len(plain)),
        "flipped": Writer([-vector] * len(plain)),
        "random": Writer(drawn),
        "broken": Writer([BREAKING * vector] * len(plain)),
        "prompt": Writer(plain, f"{TOPIC} "),
        "instruction": Writer(plain, INSTRUCTION),
    }
    columns |= write(bench, halves.told, writers, lambda text: float(has_topic_word(text)))
    note_cost(cell, bench.model, len(writers) * len(plain) * 3 * bench.settings.n_tokens)
    return bench.finish(columns | {"layer": place[0], "strength": place[1]})


def _choose(bench: Bench, openings: Sequence[str]) -> tuple[tuple[int, float], SteeringVector]:
    """Return the cell with the most probable wedding words within the budget, and the vector there; else the cheapest cell."""
    settings, model = bench.settings, bench.model
    layers = sorted({layer_at(EARLY_LAYER, model.config.n_layers), *settings.layers})
    vectors, reader, words = bench.vectors(layers), NextTokens(model, openings), single_tokens(model, topic_words())
    found: dict[tuple[int, float], tuple[float, float]] = {}
    for layer in layers:
        vector = vectors[f"L{layer}.resid_pre"]
        steers = [strength * vector for strength in settings.strengths_topic]
        lifted = _topic_log_probs(reader.log_probs(steers), words).mean(1)
        costs = [float(one[OFF_TOPIC].mean()) for one in bench.choosing.log_ratios(steers)]
        for strength, lift, cost in zip(settings.strengths_topic, lifted.tolist(), costs, strict=True):
            found[layer, strength] = (lift, cost)
    within = [place for place, (_, cost) in found.items() if cost <= np.log(settings.budget_writing)]
    place = max(within, key=lambda one: found[one][0]) if within else min(found, key=lambda one: found[one][1])
    return place, place[1] * vectors[f"L{place[0]}.resid_pre"]


def _next(
    bench: Bench, openings: Sequence[str], steers: dict[str, SteeringVector], randoms: Sequence[SteeringVector]
) -> dict[str, object]:
    reader, words = NextTokens(bench.model, openings), single_tokens(bench.model, topic_words())
    found = _topic_log_probs(reader.log_probs([None, *steers.values(), *randoms]), words).double().numpy()
    columns: dict[str, object] = {"next_unsteered": found[0]}
    columns |= {f"next_{name}": row for name, row in zip(steers, found[1:], strict=False)}
    columns |= {"next_random": found[1 + len(steers) :].mean(0)}
    for name, instruction in (("prompt", f"{TOPIC} "), ("instruction", INSTRUCTION)):
        behind = NextTokens(bench.model, [instruction + opening for opening in openings])
        columns[f"next_{name}"] = _topic_log_probs(behind.log_probs([None]), words)[0].double().numpy()
    return columns


def _topic_log_probs(log_probs: Tensor, words: Tensor) -> Tensor:
    """Return the log-probability that the next token is one of the words, [steers, prompts]."""
    return log_probs[..., words].logsumexp(-1)
