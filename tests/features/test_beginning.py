"""Where thresholds begin and how fast they move, and the learning rate where none is asked."""

import math

import pytest
import torch

from glassbook.core.seeds import generator
from glassbook.features import DictionaryLearner, DictionarySettings, make_dictionary
from glassbook.features.learning import default_lr

D, N, K, ROWS = 16, 128, 4, 512


def rows(seed: int = 0) -> torch.Tensor:
    return torch.randn(ROWS, D, generator=generator(seed, "rows of a beginning"))


def prepared(kind: str = "jumprelu", lr: float = 1e-3, **settings: object) -> DictionaryLearner:
    """Return a learner that has seen a sample and not yet learned."""
    learner = DictionaryLearner(
        make_dictionary(kind, D, N, settings=settings), DictionarySettings(steps=20, lr=lr, warmup_share=0.0)
    )
    learner.prepare(rows())
    return learner


def active(learner: DictionaryLearner) -> float:
    """Return how many features are active on average at rows that the beginning did not see."""
    return float((learner.dictionary().encode(rows(1)) > 0).sum(1).float().mean())


def test_with_k_jumprelu_begins_with_about_k_active_features():
    assert active(prepared(k=K)) == pytest.approx(K, rel=0.2)


def test_control_at_a_threshold_that_is_given_many_more_are_active():
    assert active(prepared(k=K, first_threshold=0.1)) > 5 * K
    assert active(prepared()) > 5 * K


def test_inside_a_transcoder_it_begins_so_too_on_the_scale_of_what_is_read():
    learner = prepared("transcoder", activation="jumprelu", activation_settings={"k": K})
    assert active(learner) == pytest.approx(K, rel=0.2)


def test_logarithms_move_ten_times_as_fast_as_all_else():
    learner = prepared(k=K, lr=1e-3)
    before = {name: weight.detach().clone() for name, weight in learner.working.named_parameters()}
    learner.step(rows())
    moved = {
        name: float((weight.detach() - before[name]).abs().max()) for name, weight in learner.working.named_parameters()
    }
    assert moved["log_threshold"] == pytest.approx(1e-2, rel=0.05)
    assert moved["b_enc"] == pytest.approx(1e-3, rel=0.05)


def test_a_revived_feature_takes_the_threshold_in_the_middle():
    learner = prepared(k=K)
    thresholds = learner.working.log_threshold
    thresholds.data = torch.linspace(0, 1, N)
    learner.working.revive(torch.tensor([0]))
    assert float(thresholds[0].detach()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("steps", "times"), [(10, 10.0), (100, 10.0), (2500, 2.0), (10_000, 1.0), (10**6, 1.0)])
def test_shorter_trainings_learn_at_a_higher_rate_within_bounds(steps, times):
    assert default_lr(2**14, steps) == pytest.approx(2e-4 * times)
    assert default_lr(2**12, steps) == pytest.approx(2 * default_lr(2**14, steps))
    given = DictionaryLearner(make_dictionary("topk", D, N, settings={"k": K}), DictionarySettings(steps=steps))
    assert math.isclose(given.told()["lr"], default_lr(N, steps))
