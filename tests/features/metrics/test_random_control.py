"""The random directions beside a dictionary are as sparse as it is."""

import pytest

from features.samples import D, N, inputs
from glassbook.features import make_dictionary
from glassbook.features.metrics.random_control import random_like

SAMPLE = inputs(64)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("topk", {"k": 3}),
        ("batchtopk", {"k": 5}),
        ("transcoder", {"activation": "topk", "activation_settings": {"k": 4}}),
        ("skip-transcoder", {"activation": "batchtopk", "activation_settings": {"k": 2}}),
    ],
)
def test_with_a_k_as_many_directions_are_active(kind, settings):
    control = random_like(make_dictionary(kind, D, N, D, settings), SAMPLE, 0)
    assert control.k == settings.get("k", settings.get("activation_settings", {}).get("k"))


@pytest.mark.parametrize("bias", [0.0, -1.0, -100.0])
def test_without_a_k_as_many_as_features_on_the_sample(bias):
    dictionary = make_dictionary("standard", D, N).requires_grad_(False)
    dictionary.encoder.copy_(inputs(N, D, seed=3))
    dictionary.b_enc.fill_(bias)
    active = float((dictionary.encode(SAMPLE) > 0).sum(1).float().mean())
    assert random_like(dictionary, SAMPLE, 0).k == max(round(active), 1)
    assert active == 0 if bias == -100 else active > 1
