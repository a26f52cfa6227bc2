"""What steering costs on text, and how a continuation repeats itself, against longhand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conformance.probes import WeightsRead
from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.fluency import (
    TextGauge,
    completion_perplexities,
    completion_perplexity,
    distinct_n,
    repetition,
    text_costs,
)
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from steering.laws import drawn

WINDOWS = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15]]
rows = st.lists(st.integers(0, 3), max_size=12)


def vector_at(model: Model, layer: int, **changes: object) -> SteeringVector:
    """Return a vector at the end of a layer."""
    values = drawn(model, "L1.resid_post", layer)
    return SteeringVector(site=Site("resid_post", layer), values=values, identity=model.identity, **changes)


def longhand(model: Model, steer: SteeringVector) -> tuple[float, float]:
    """Return the perplexity ratio and KL(unsteered || steered), a window at a time."""
    gained, divergences = [], []
    for window in WINDOWS:
        plain, steered = (model([window], steer=one)[0, :-1].double().log_softmax(-1) for one in (None, steer))
        gained += [float(plain[i, t] - steered[i, t]) for i, t in enumerate(window[1:])]
        divergences += (plain.exp() * (plain - steered)).sum(-1).tolist()
    return math.exp(sum(gained) / len(gained)), sum(divergences) / len(divergences)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_costs_of_several_steerings_are_those_of_each_alone_in_longhand(architecture: str) -> None:
    model = tiny_model(architecture)
    steers = [vector_at(model, 2), 0.3 * vector_at(model, 0), -vector_at(model, 1)]
    for steer, cost in zip(steers, text_costs(model, WINDOWS, steers), strict=True):
        ratio, kl = longhand(model, steer)
        assert cost.perplexity_ratio == pytest.approx(ratio, rel=1e-4)
        assert cost.kl == pytest.approx(kl, rel=1e-3)
        assert kl > 1e-2, "the control: it changes what is predicted"
    nothing = text_costs(model, WINDOWS, [0.0 * steers[0]])[0]
    assert (nothing.perplexity_ratio, nothing.kl) == (1.0, 0.0)


def test_a_set_of_vectors_has_one_price() -> None:
    model = tiny_model()
    both = VectorSet((vector_at(model, 0), vector_at(model, 2)))
    together, first = text_costs(model, WINDOWS, [both, both.vectors[0]])
    assert together.perplexity_ratio == pytest.approx(longhand(model, both)[0], rel=1e-4)
    assert together != first


def test_the_text_is_read_once_and_each_price_costs_only_what_lies_above() -> None:
    model = tiny_model()
    gauge = TextGauge(model, WINDOWS, [vector_at(model, layer) for layer in range(3)])
    gauge.cost(vector_at(model, 0))
    with WeightsRead(model.net) as upper:
        gauge.cost(vector_at(model, 1))
    assert upper.blocks == {1, 2}
    with WeightsRead(model.net) as again:
        gauge.cost(2 * vector_at(model, 1))
    assert again.blocks == {2}
    with WeightsRead(model.net) as top:
        gauge.cost(vector_at(model, 2))
    assert top.blocks == {2}, "the prefix climbs from the nearest below"
    with WeightsRead(model.net) as lowest:
        text_costs(model, WINDOWS, [vector_at(model, 0)])
    assert lowest.blocks == {0, 1, 2}, "the control"


def test_perplexities_of_completions_together_are_those_one_by_one() -> None:
    model = tiny_model()
    pairs = [([1, 2, 3], [4, 5]), ([7], [8, 9, 10, 11]), ([5, 6], []), ([1] * 9, [2])] * 3
    together = completion_perplexities(model, pairs)
    for (prompt, tokens), found in zip(pairs, together, strict=True):
        if not tokens:
            assert math.isnan(found)
            continue
        logs = model([[*prompt, *tokens]])[0].log_softmax(-1)
        mean = sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(tokens)) / len(tokens)
        assert found == pytest.approx(math.exp(-mean), rel=1e-4)
        assert found == pytest.approx(completion_perplexity(model, prompt, tokens), rel=1e-4)


@given(st.lists(rows, max_size=4), st.integers(1, 3))
def test_distinct_n_counts_different_runs_over_all_runs(texts: list[list[int]], n: int) -> None:
    runs = [tuple(row[i : i + n]) for row in texts for i in range(len(row)) if i + n <= len(row)]
    found = distinct_n(texts, n)
    if not runs:
        assert math.isnan(found)
    else:
        assert found == len(set(runs)) / len(runs) and 0 < found <= 1


@given(rows)
def test_repetition_is_the_share_of_runs_that_stood_before(row: list[int]) -> None:
    runs = [tuple(row[i : i + 2]) for i in range(len(row) - 1)]
    before = sum(run in runs[:i] for i, run in enumerate(runs))
    found = repetition(row, 2)
    assert math.isnan(found) if not runs else found == pytest.approx(before / len(runs))


@pytest.mark.parametrize(
    ("row", "expected"), [([1, 2, 3, 4, 5, 6], 0.0), ([1, 1, 1, 1, 1, 1, 1], 0.75), ([1, 2, 3, 4] * 2, 0.2)]
)
def test_repetition_of_known_rows(row: list[int], expected: float) -> None:
    assert repetition(row) == pytest.approx(expected)


def test_distinct_of_known_rows_tells_a_loop_from_a_text() -> None:
    assert distinct_n([[1, 2, 1, 2, 1, 2]], 2) == pytest.approx(2 / 5)
    assert distinct_n([[1, 2], [1, 2]], 2) == 0.5, (
        "runs do not reach over the end of a row, and rows are counted together"
    )
    assert torch.isnan(torch.tensor(distinct_n([[1]], 2)))
