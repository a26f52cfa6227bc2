"""Directions that settle: the more one has moved, the less a step turns it; held rows stay held, and nobody else is touched."""

import math

import pytest
import torch

from glassbook.core.errors import InputError
from glassbook.features.dictionary import make_dictionary
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.planted import PlantedRows, planted
from glassbook.features.turning import Turning

N, D = 6, 16


def step(turning, move):
    """Return by which angle each direction turns when its row is moved so far at right angles to it."""
    decoder = turning.dictionary.decoder
    before = decoder.detach().clone()
    sideways = torch.roll(before, 1, dims=1)
    sideways -= torch.linalg.vecdot(sideways, before)[:, None] * before
    turning.lengthen()
    decoder.data += torch.nn.functional.normalize(sideways, dim=1) * move
    turning.shorten()
    return torch.linalg.vecdot(before, decoder.detach()).clamp(-1, 1).acos()


def begun(first_length, kind="topk", **settings):
    dictionary = make_dictionary(kind, D, N, settings=settings)
    rows = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    dictionary.decoder.data.copy_(torch.nn.functional.normalize(rows, dim=1))
    return Turning(dictionary, first_length)


def test_a_step_turns_a_direction_by_what_it_moves_over_its_length_and_less_each_time():
    turning = begun(0.1, k=2)
    angles = [step(turning, 0.05) for _ in range(3)]
    for number, angle in enumerate(angles):
        # Each step at right angles lengthens the row by Pythagoras.
        length = math.sqrt(0.1**2 + number * 0.05**2)
        torch.testing.assert_close(angle, torch.full((N,), math.atan(0.05 / length)), atol=1e-4, rtol=0)
    torch.testing.assert_close(turning.dictionary.decoder.detach().norm(dim=1), torch.ones(N))


def test_with_a_first_length_of_0_all_turn_alike_the_control():
    turning = begun(0.0, k=2)
    first, _, third = (step(turning, 0.05) for _ in range(3))
    torch.testing.assert_close(first, third, atol=1e-4, rtol=0)


def test_who_begins_anew_turns_as_at_the_beginning():
    turning = begun(0.1, k=2)
    for _ in range(3):
        step(turning, 0.05)
    turning.begin(torch.arange(N) == 2)
    angles = step(turning, 0.05)
    assert angles[2] > 1.2 * angles[torch.arange(N) != 2].max()


def test_rows_that_are_free_are_not_touched():
    turning = begun(0.1, "standard", norms="weighted")
    turning.dictionary.decoder.data.mul_(3)
    before = turning.dictionary.decoder.detach().clone()
    turning.lengthen()
    turning.shorten()
    assert torch.equal(turning.dictionary.decoder, before)


@pytest.mark.parametrize(
    "kind", ["batchtopk", *(pytest.param(one, marks=pytest.mark.slow) for one in ("topk", "matryoshka-batchtopk"))]
)
def test_settling_explains_more_of_planted_rows_in_the_same_steps(kind):
    missed = []
    for first in ({}, {"betas": (0.9, 0.999), "first_length": 0.0, "first_encoder": 1.0}):
        made = make_dictionary(kind, 32, 64, settings={"k": 3})
        learner = DictionaryLearner(made, DictionarySettings(steps=150, lr=4e-3, dtype="float32", **first))
        rows = PlantedRows(planted(64, 32, 0.3, seed=0, active=3.0), 512, 1)
        missed.append(sum(float(learner.step(rows.next())["fvu"]) for _ in range(150)) / 150)
    assert missed[0] < missed[1]


def test_lengths_and_betas_that_cannot_be_are_refused():
    for wrong in ({"betas": (1.0, 0.9)}, {"first_length": -1.0}, {"first_encoder": 0.0}):
        with pytest.raises(InputError, match="give"):
            DictionarySettings(steps=10, **wrong)
