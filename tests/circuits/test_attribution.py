"""Attribution to features: gradients held against finite differences, linear Sites and exact ablation; each with a control."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from features.spliced import PAIR, SETTINGS, TEXT, features_of, words
from glassbook.activations.capture import capture
from glassbook.circuits import Agreement, Compared, Question, ablate_each, attribute, check_attribution
from glassbook.circuits.ablation import ROWS_AT_ONCE, correlation
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features import Dictionary, DictionaryError, splice
from glassbook.models.model import Model
from glassbook.steering.features import ablate_features

every_kind = pytest.mark.parametrize("kind", SETTINGS)
ASKED, OTHER = 17, 40


def dictionary_of(model: Model, kind: str) -> Dictionary:
    """Return a dictionary of a kind, a transcoder at the MLP and any other at the stream."""
    return words(model, kind, PAIR if "transcoder" in kind else "L1.resid_post")


def measure(model: Model, steer: object = None, question: Question | None = None) -> float:
    """Return the measure of the text, by a whole pass."""
    return float((question or Question(ASKED)).measure(model([TEXT], steer=steer)[:, -1])[0])  # type: ignore[arg-type]


def by_hand(model: Model, dictionary: Dictionary) -> torch.Tensor:
    """Return f times (W_dec . gradient of the stream), from a graph in which no dictionary is spliced."""
    site = Site.parse(dictionary.facts.get("site_out", dictionary.facts["site"]))
    cache = capture(model, [TEXT], [site, "logits"], grad=True)
    Question(ASKED).measure(cache["logits"][:, -1])[0].backward()
    return features_of(model, dictionary, TEXT) * (cache.grad(site)[0] @ dictionary.W_dec.T)


@every_kind
@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_a_score_is_the_value_times_the_gradient_of_the_stream_along_the_direction(
    architecture: str, kind: str
) -> None:
    model = tiny_model(architecture)
    dictionary = dictionary_of(model, kind)
    scores, expected = attribute(model, dictionary, TEXT, ASKED).scores, by_hand(model, dictionary)
    assert torch.allclose(scores, expected, atol=1e-5) and float(expected.abs().max()) > 1e-3
    other = attribute(model, dictionary, TEXT, OTHER).scores
    assert not torch.allclose(other, expected, atol=1e-4), "the control: another token's scores"


@every_kind
def test_the_spliced_model_measures_what_the_model_does(kind: str) -> None:
    model = tiny_model()
    dictionary = dictionary_of(model, kind)
    assert attribute(model, dictionary, TEXT, ASKED).measured == pytest.approx(measure(model), abs=1e-5)
    without_error = measure(model, splice(dictionary, error=False))
    assert without_error != pytest.approx(measure(model), abs=1e-4), "the control"


@settings(max_examples=12)
@given(feature=st.integers(0, 39), position=st.integers(0, len(TEXT) - 1))
def test_a_small_change_of_a_feature_moves_the_measure_by_its_gradient(feature: int, position: int) -> None:
    model = tiny_model()
    dictionary = words(model, "standard")
    found = attribute(model, dictionary, TEXT, ASKED, against=OTHER)
    value = float(found.features[position, feature])
    if value == 0:
        assert float(found.scores[position, feature]) == 0
        return

    def nudged(by: float) -> float:
        def change(features: torch.Tensor, span: object) -> torch.Tensor:
            changed = features.clone()
            changed[:, position, feature] += by
            return changed

        return measure(model, splice(dictionary, change=change), Question(ASKED, OTHER))

    slope = (nudged(0.02) - nudged(-0.02)) / 0.04
    assert float(found.scores[position, feature]) / value == pytest.approx(slope, abs=2e-3 + 0.02 * abs(slope))


@pytest.mark.parametrize("kind", ["jumprelu", "batchtopk"])
def test_where_the_measure_is_linear_the_scores_are_the_exact_effects(kind: str) -> None:
    model = tiny_model()
    dictionary = words(model, kind, "resid_final")
    found = attribute(model, dictionary, TEXT, ASKED, against=OTHER)
    agreement = check_attribution(found, n=40, n_others=0)
    assert agreement.correlation == pytest.approx(1, abs=1e-6) and agreement.same_sign == 1
    assert agreement.worst is not None and abs(agreement.worst.miss) < 1e-4
    # All that stands there is features, what they miss, and the bias: together they make the log-odds.
    x = capture(model, [TEXT], "resid_final")[Site.parse("resid_final")][0, -1]
    weights = model.transformer.unembed.weight[ASKED] - model.transformer.unembed.weight[OTHER]
    parts = sum(found.by_token) + float(found.error_scores.sum()) + float(dictionary.b_dec @ weights)
    assert parts == pytest.approx(float(x @ weights), abs=1e-4) and parts == pytest.approx(found.measured, abs=1e-4)
    assert not found.scores[:-1].any(), "what stands before the last token cannot matter here"


@pytest.mark.parametrize("fault", ["gradient without value", "another feature's value"])
def test_the_linear_law_catches_a_gradient_without_its_value_and_another_feature_s_value(fault: str) -> None:
    model = tiny_model()
    found = attribute(model, words(model, "jumprelu", "resid_final"), TEXT, ASKED, against=OTHER)
    chosen = [one.feature for one in found.totals if float(found.features[-1, one.feature]) != 0]
    exact = ablate_each(found, chosen)
    values, scores = found.features[-1, chosen], found.scores[-1, chosen]
    wrong = scores / values if fault == "gradient without value" else scores / values * values.roll(1)
    assert correlation(scores.tolist(), exact) == pytest.approx(1, abs=1e-6)
    assert correlation(wrong.tolist(), exact) < 0.999
    assert float((wrong - torch.tensor(exact)).abs().max()) > 1e-2


@every_kind
def test_exact_ablation_is_steering_without_the_feature_one_by_one(kind: str) -> None:
    model = tiny_model()
    dictionary = dictionary_of(model, kind)
    found = attribute(model, dictionary, TEXT, ASKED)
    chosen = [one.feature for one in found.totals][: ROWS_AT_ONCE + 1]
    exact = ablate_each(found, chosen)
    alone = [measure(model) - measure(model, ablate_features(dictionary, [feature])) for feature in chosen]
    assert exact == pytest.approx(alone, abs=1e-5) and max(map(abs, alone)) > 1e-3
    assert ablate_each(found, chosen[::-1]) == pytest.approx(alone[::-1], abs=1e-5)
    assert exact != pytest.approx(alone[::-1], abs=1e-4), "the control: the effects of other features"


def test_a_feature_that_is_never_active_adds_nothing_and_is_not_listed() -> None:
    model = tiny_model()
    found = attribute(model, words(model), TEXT, ASKED)
    never = int((found.features == 0).all(0).nonzero()[0])
    assert ablate_each(found, [never]) == [0.0]
    assert never not in [one.feature for one in found.totals]
    first = found.totals[0]
    assert first.score == pytest.approx(float(found.scores.sum(0).abs().max()) * (1 if first.score > 0 else -1))
    assert (first.n_tokens, first.peak) == (
        int((found.features[:, first.feature] != 0).sum()),
        pytest.approx(float(found.features[:, first.feature].max())),
    )


def test_tokens_that_training_does_not_know_are_left_as_they_are() -> None:
    model = tiny_model()
    dictionary = words(model, "jumprelu", seed=21)
    whole = attribute(model, dictionary, TEXT, ASKED)
    dictionary.facts["harvest"] = {"policy": {"start_token": None, "drop_start": True, "norm_multiple": None}}
    found = attribute(model, dictionary, TEXT, ASKED)
    assert found.unseen.tolist() == [True, *[False] * (len(TEXT) - 1)]
    assert not found.scores[0].any() and not found.features[0].any() and float(found.error_scores[0]) == 0
    assert torch.allclose(found.scores[1:], whole.scores[1:], atol=1e-6) and bool(whole.scores[0].any())
    (feature,) = (int(whole.features[0].argmax()),)
    steered = measure(model) - measure(model, ablate_features(dictionary, [feature]))
    assert ablate_each(found, [feature]) == pytest.approx([steered], abs=1e-5)
    assert ablate_each(whole, [feature]) != pytest.approx([steered], abs=1e-5), "the control"


def test_the_agreement_compares_the_largest_with_others_drawn_by_the_seed() -> None:
    model = tiny_model()
    found = attribute(model, words(model), TEXT, ASKED)
    one, again, other = (check_attribution(found, 4, 5, seed=seed) for seed in (0, 0, 1))
    totals = [row.feature for row in found.totals]
    assert [row.feature for row in one.largest] == totals[:4] and one == again
    assert {row.feature for row in one.others} <= set(totals[4:]) and one.others != other.others
    assert one.worst is max(one.rows, key=lambda row: abs(row.miss))
    assert f"r = {one.correlation:.3f}" in one.say() and f"feature {one.worst.feature}," in one.say()
    assert one.to_dict()["worst"]["feature"] == one.worst.feature
    shuffled = correlation([row.score for row in one.rows], [row.exact for row in one.rows[1:] + one.rows[:1]])
    assert one.correlation > 0.8 > 0.5 > shuffled, "the control: scores beside other features' effects"


def test_correlation_and_agreement_of_too_little_are_no_numbers() -> None:
    assert correlation([1, 2, 4], [2, 4, 8]) == pytest.approx(1) and correlation([1, 2], [3, 1]) == pytest.approx(-1)
    assert math.isnan(correlation([1], [1])) and math.isnan(correlation([1, 2], [3, 3]))
    none = Agreement((), ())
    assert none.worst is None and math.isnan(none.same_sign) and "No feature is active" in none.say()
    assert Compared(1, 0.5, 0.2).miss == pytest.approx(0.3)


def test_what_cannot_be_attributed_is_said_in_one_sentence() -> None:
    model, dictionary = tiny_model(), words(tiny_model())
    for arguments, said in [
        ((TEXT, 262), "there is no token 262; they run from 0 to 261"),
        ((TEXT, "the king"), "tokens, not one"),
        (("", ASKED), "the text is empty"),
    ]:
        with pytest.raises(InputError, match=said):
            attribute(model, dictionary, *arguments)
    with pytest.raises(InputError, match="no log-odds against itself"):
        attribute(model, dictionary, TEXT, ASKED, against=ASKED)
    with pytest.raises(InputError, match="0 features and 3 others cannot be compared"):
        check_attribution(attribute(model, dictionary, TEXT, ASKED), 0, 3)
    with pytest.raises(DictionaryError, match=r"is 32 wide and L1\.mlp_post of tiny-llama is 48"):
        attribute(model, dictionary, TEXT, ASKED, site="L1.mlp_post")
