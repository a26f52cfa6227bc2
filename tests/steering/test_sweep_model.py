"""On the real model a sentiment direction stands out from its controls, and a random one does not."""

import pytest

from glassbook.models.model import Model
from glassbook.steering.controls import random_like
from glassbook.steering.effects import choice_log_odds
from glassbook.steering.sweep import sweep
from glassbook.steering.sweeps.effects import ChoiceLogOdds, Frame
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import load_choices
from steering.laws import drawn

pytestmark = pytest.mark.model
SMALL = {"n_items": 12, "n_pairs": 24, "n_windows": 4, "window": 32, "n_tokens": 4, "prompts": ("The room was",)}


@pytest.mark.slow
def test_a_sentiment_direction_beats_all_random_ones_and_one_of_those_does_not(default_model: Model) -> None:
    found = sweep(default_model, "sentiment", layers=(24,), strengths=(1,), **SMALL)
    assert found.chosen.stands_out and found.chosen.rank.beaten == 20
    assert found.chosen.vector.effect > 1 and found.chosen.flipped_here.effect < -1
    random = random_like(found.vector, 7, 99)
    other = sweep(default_model, random, layers=(24,), strengths=(1,), items="sentiment", **SMALL)
    assert not other.chosen.stands_out and other.verdict in ("does nothing", "only breaks fluency")
    assert other.unsteered == found.unsteered, "the same items were held out"


def test_scores_of_the_grid_are_those_of_choice_log_odds_on_the_real_model(default_model: Model) -> None:
    items, steers = load_choices("sentiment").items[:6], []
    for layer in (24, 27):
        values = drawn(default_model, "L0.resid_post", layer, norm=200.0)
        site = default_model.sites(f"L{layer}.resid_post")[0]
        steers.append(SteeringVector(site=site, values=values, identity=default_model.identity))
    measure = ChoiceLogOdds(default_model, items, Frame())
    expected = choice_log_odds(default_model, items, steers)
    for steer, row in zip(steers, expected.tolist(), strict=True):
        assert measure.scores([steer])[0].values == pytest.approx(row, abs=2e-3)
    assert float((expected[0] - expected[1]).abs().max()) > 0.05, "the control: the vectors differ"
