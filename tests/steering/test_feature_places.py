"""Features steer the model and the places that they were trained for, and whatever else is asked is refused in one sentence."""

from types import SimpleNamespace

import pytest
import torch

from conformance.tiny import tiny_model
from features.spliced import PAIR, TEXT, N, words
from glassbook.core.errors import GlassbookError, InputError, VectorError
from glassbook.features import Dictionary, DictionaryError
from glassbook.features.faults import DictionaryWarning
from glassbook.models.identity import Identity
from glassbook.models.model import Model
from glassbook.steering.feature_cost import feature_cost
from glassbook.steering.features import (
    FeatureEdit,
    ablate_features,
    add_features,
    check_features,
    clamp_features,
    feature_vector,
)
from glassbook.steering.fluency import text_costs
from steering.laws import NEAR


def other_weights(model: Model, **changes: str) -> Dictionary:
    """Return a dictionary that says that it was trained on other weights."""
    dictionary = words(model, "topk", seed=9)
    weights = model.identity.to_dict() | {"name": "another", "fingerprint": "0" * 64} | changes
    dictionary.facts["weights"] = weights
    return dictionary


def test_a_dictionary_of_another_model_is_refused_unless_forced_and_of_another_precision_warned_of() -> None:
    model = tiny_model()
    stranger = other_weights(model, lineage="1" * 64)
    with pytest.raises(DictionaryError, match="trained on another and this model is tiny-llama"):
        model([TEXT], steer=add_features(stranger, {1: 2.0}))
    with pytest.raises(VectorError, match="made on another"):
        model([TEXT], steer=feature_vector(stranger, 1))
    forced = model([TEXT], steer=add_features(stranger, {1: 2.0}, force=True))
    relative = other_weights(model)
    with pytest.warns(DictionaryWarning, match="trained on another"):
        assert torch.equal(model([TEXT], steer=add_features(relative, {1: 2.0})), forced)
    relative.facts["weights"] = Identity.unknown("nobody").to_dict()
    assert torch.equal(model([TEXT], steer=add_features(relative, {1: 2.0})), forced)


SAID = {
    "beyond the last": (lambda d: clamp_features(d, {N: 1.0}), f"no feature {N}; its features run from 0 to {N - 1}"),
    "below the first": (lambda d: add_features(d, {-1: 1.0}), "no feature -1"),
    "no number": (lambda d: add_features(d, {1: float("nan")}), "feature 1 cannot be changed by nan"),
    "twice": (lambda d: ablate_features(d, [3, 4, 3]), "feature 3 is given twice"),
    "none": (lambda d: ablate_features(d, []), "no feature is given"),
    "front": (lambda d: ablate_features(d, [1], positions="front"), "no front rows"),
    "unknown operator": (
        lambda d: FeatureEdit.__post_init__(SimpleNamespace(feature=1, operator="project", amount=1.0)),
        "no operator 'project' for features; choose one of add, clamp, ablate, scale",
    ),
    "a sum over tokens": (
        lambda d: ablate_features(d, [1]) + ablate_features(d, [2], positions="prompt"),
        "steer=\\[...\\] instead",
    ),
    "no vector": (lambda d: feature_vector(d, N), f"no feature {N}"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_cannot_be_steered_is_said_in_one_sentence(case: str) -> None:
    make, said = SAID[case]
    with pytest.raises(GlassbookError, match=said) as caught:
        make(words(tiny_model()))
    assert str(caught.value).count("\n") == 0


def test_a_dictionary_goes_where_it_fits_and_a_transcoder_asks_for_both_sites() -> None:
    model = tiny_model()
    narrow, pair = words(model, "jumprelu", "L1.H2.z"), words(model, "transcoder", PAIR)
    with pytest.raises(DictionaryError, match=r"is 8 wide and L1\.resid_post of tiny-llama is 32"):
        model([TEXT], steer=ablate_features(narrow, [1], site="L1.resid_post"))
    with pytest.raises(DictionaryError, match=r"writes at another, and only L1\.mlp_out is known"):
        ablate_features(pair, [1], site="L1.mlp_out")
    with pytest.raises(DictionaryError, match="comes before"):
        model([TEXT], steer=ablate_features(pair, [1], site=PAIR[::-1]))
    final = ablate_features(words(model, "jumprelu", "resid_final"), range(N))
    assert not torch.equal(model([TEXT], steer=final), model([TEXT]))
    with pytest.raises(DictionaryError, match="resid_final is formed for the newest token alone"):
        model.complete([TEXT], steer=final, max_new_tokens=2)
    unplaced = Dictionary(32, N)
    with pytest.raises(InputError, match="does not say where it was trained"):
        add_features(unplaced, {1: 1.0})
    elsewhere = add_features(words(model), {1: 2.0}, site="L0.resid_post")
    assert not torch.equal(model([TEXT], steer=elsewhere), model([TEXT], steer=add_features(words(model), {1: 2.0})))
    assert check_features(pair, [0, N - 1]) is None


def test_text_is_generated_under_features_and_close_to_the_unsteered_one_for_none() -> None:
    model = tiny_model()
    options = {"max_new_tokens": 6, "stop_at_eos": False}
    plain = model.generate("the inn", **options)
    steered = model.generate("the inn", steer=clamp_features(words(model), {3: 40.0}), **options)
    idle = model.generate("the inn", steer=clamp_features(words(model), {3: 40.0}, positions=(45,)), **options)
    assert plain == idle != steered
    assert (
        float((model("the inn", steer=ablate_features(words(model), [3])) - model("the inn")).abs().max()) > NEAR / 100
    )


@pytest.mark.parametrize("positions", ["all", "generated"])
def test_the_cost_of_adding_a_feature_is_that_of_its_vector_and_another_s_is_not(positions: str) -> None:
    model = tiny_model()
    dictionary = words(model)
    windows = [[5, 9, 2, 77, 31], [8, 120, 64, 3, 4, 6], [1]]
    cost = feature_cost(model, add_features(dictionary, {3: 4.0}, positions=positions), windows)
    for feature, same in ((3, True), (4, False)):
        vector = (feature_vector(dictionary, feature) * 4.0).with_(positions=positions)
        wanted = text_costs(model, windows[:2], [vector])[0]
        assert (cost.kl == pytest.approx(wanted.kl, rel=1e-4)) == same
        assert (cost.perplexity_ratio == pytest.approx(wanted.perplexity_ratio, rel=1e-5)) == same
    with pytest.raises(InputError, match="nothing to predict"):
        feature_cost(model, add_features(dictionary, {3: 4.0}), [[1]])
