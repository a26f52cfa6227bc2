"""The laws of steering on the real model."""

from pathlib import Path

import pytest
import torch

from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.controls import random_like
from glassbook.steering.formats.control_vector import load_control_vector
from glassbook.steering.recipes import actadd, directions, mean_difference
from glassbook.steering.vector_set import PerRow
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import load_contrast
from steering.laws import (
    NEAR,
    batch_is_one_by_one,
    cached_is_uncached,
    delta_is_the_one_asked_for,
    touched_is_what_changed,
)

pytestmark = pytest.mark.model
REPENG = Path(__file__).parents[1] / "golden" / "repeng_sentiment.gguf"
KIND = ["The food was good, I loved it", "It was a great and happy day", "What a wonderful place", "I am so happy"]
UNKIND = ["The food was bad, I hated it", "It was a terrible and sad day", "What an awful place", "I am so disgusted"]
TEXTS = ["I think you are", "The weather today is going to be", "My"]


@pytest.fixture(scope="module")
def love(default_model: Model) -> SteeringVector:
    """Return the classic ActAdd vector, at the strength of the paper's example."""
    return 4 * actadd(default_model, "Love", "Hate", "L6.resid_pre")


@pytest.fixture(scope="module")
def warm(default_model: Model) -> SteeringVector:
    """Return a mean difference, added to every token."""
    return mean_difference(default_model, KIND, UNKIND, "L12.resid_post")


def rows_of(model: Model) -> list[list[int]]:
    """Return the texts behind the document start."""
    return [model.read(text, prepend_bos=True).row(0) for text in TEXTS]


def test_strength_zero_is_byte_identical_and_strength_one_is_not(default_model: Model, warm: SteeringVector) -> None:
    rows = rows_of(default_model)[:1]
    plain = default_model(rows)
    assert torch.equal(default_model(rows, steer=0 * warm), plain)
    assert not torch.equal(default_model(rows, steer=warm), plain)


def test_with_the_cache_is_without_and_a_batch_is_its_rows(
    default_model: Model, love: SteeringVector, warm: SteeringVector
) -> None:
    rows = rows_of(default_model)
    # Its logits reach 40, and other shapes of the same product alone move them by 1e-4 to 7e-4, by the processor, here as in
    # transformers: steering may add nothing to that.
    plain = default_model(rows)
    alone = [default_model([row])[0] for row in rows]
    rounding = max(float((plain[i, : len(one)] - one).abs().max()) for i, one in enumerate(alone))
    assert rounding < 1e-3
    near = max(NEAR, 2 * rounding)
    cached_is_uncached(default_model, [love, warm], rows, near)
    steers = [love, -2 * warm, None]
    batch_is_one_by_one(default_model, steers, PerRow(steers), rows, near)


def test_touched_tokens_and_the_norm_are_what_was_asked_for(
    default_model: Model, love: SteeringVector, warm: SteeringVector
) -> None:
    row = rows_of(default_model)[0]
    for vector in (warm.with_(positions="generated"), warm.with_(positions=(2, 4))):
        touched_is_what_changed(default_model, vector, vector, row)
    # The stream is up to 23,000 long at the first token; a short vector drowns in its rounding, so that token is left out.
    values = warm.values / warm.norm * 300
    delta_is_the_one_asked_for(
        default_model, warm.with_(values=values), warm.with_(values=values, positions="all"), row[1:]
    )
    assert not love.values[0].any()


def test_a_vector_moves_the_model_its_own_way_and_a_random_one_does_not(
    default_model: Model, warm: SteeringVector
) -> None:
    words = [default_model.to_single_token(word) for word in (" good", " bad")]
    prompt = default_model.to_tokens("The food at this restaurant was very")

    def log_odds(steer: SteeringVector | None) -> float:
        logits = default_model(prompt, steer=steer)[0, -1]
        return float(logits[words[0]] - logits[words[1]])

    plain, up, down = log_odds(None), log_odds(warm), log_odds(-warm)
    assert up > plain > down
    randoms = [log_odds(random_like(warm, 0, number)) - plain for number in range(8)]
    assert up - plain > max(randoms)


@pytest.mark.slow
def test_the_principal_components_are_those_that_repeng_made_of_the_same_pairs(default_model: Model) -> None:
    theirs, last = load_control_vector(REPENG, default_model), Site("resid_post", default_model.config.n_layers - 1)
    pairs = load_contrast("sentiment")
    ours, centered = (
        directions(default_model, pairs.positives, pairs.negatives, [*theirs.sites, "resid_final"], kind, norm="unit")
        for kind in ("pca", "pca-center")
    )
    assert len(theirs) == 29
    for vector in theirs:
        # transformers hands out the last block's values behind the final norm, so that is where repeng read them.
        site = Site("resid_final") if vector.site == last else vector.site
        # Its solver is a randomized one and comes within 1e-4 of the coordinates, which are 0.04 long on average.
        assert float((vector.values - ours[site].values).abs().max()) < 2e-4, f"{site}"
        assert vector.cosine(ours[site]) > 1 - 1e-6, f"{site}"
    assert theirs[last].cosine(ours[last]) < 0.9, "the control: where the last block itself ends"
    assert any(vector.cosine(centered[vector.site]) < 0.99 for vector in theirs), "the control: the other component"
