"""The active features of a text are those that the dictionary encodes at its Site, token by token."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import tiny_model
from features.spliced import PAIR, SETTINGS, TEXT, N, features_of, values, words
from glassbook.circuits import active_features
from glassbook.core.errors import InputError
from glassbook.features import Dictionary, DictionaryError, Identity
from glassbook.features.faults import DictionaryWarning

HARVEST = {"policy": {"start_token": None, "drop_start": True, "norm_multiple": 10.0}}


def harvested(**policy: object) -> Dictionary:
    """Return a dictionary that says how its harvest went."""
    dictionary = words(tiny_model(), "jumprelu", seed=11)
    dictionary.facts["harvest"] = {"policy": HARVEST["policy"] | policy}
    return dictionary


@settings(max_examples=15)
@given(kind=st.sampled_from(list(SETTINGS)), prompt=st.lists(st.integers(0, 255), min_size=1, max_size=10))
def test_every_active_feature_is_there_with_its_value_and_no_other(kind: str, prompt: list) -> None:
    model = tiny_model()
    dictionary = words(model, kind, PAIR if "transcoder" in kind else "L1.resid_post")
    found, dense = active_features(model, dictionary, prompt), features_of(model, dictionary, prompt)
    assert list(found.tokens) == prompt and found.n_features == N
    rebuilt = torch.zeros(len(prompt), N)
    for position, one in enumerate(found.features):
        sizes = [abs(value) for _, value in one]
        assert sizes == sorted(sizes, reverse=True) and 0 not in sizes
        for feature, value in one:
            rebuilt[position, feature] = value
    assert torch.allclose(rebuilt, dense, atol=1e-5)
    assert found.l0 == pytest.approx(float((dense != 0).sum(-1).float().mean()))
    assert not torch.allclose(rebuilt, features_of(model, dictionary, [255 - i for i in prompt])), "the control"


def test_strongest_features_and_one_feature_s_values_are_those_of_the_rows() -> None:
    model = tiny_model()
    found, dense = active_features(model, words(model), TEXT), features_of(model, words(model), TEXT)
    peaks = dense.amax(0)
    assert found.strongest(3) == [int(i) for i in peaks.topk(3).indices]
    assert found.along(found.strongest(1)[0]) == pytest.approx(dense[:, found.strongest(1)[0]].tolist(), abs=1e-5)
    assert found.along(int((dense == 0).all(0).nonzero()[0])) == [0.0] * len(TEXT)
    assert found.strongest(10**6) == sorted(found.strongest(10**6), key=lambda i: -float(peaks[i]))


def test_the_share_that_is_explained_is_1_for_the_identity_and_0_for_the_bias_alone() -> None:
    model = tiny_model()
    whole = Identity(32, 32)
    assert active_features(model, whole, TEXT, site="L1.resid_post").explained == pytest.approx([1.0] * len(TEXT))
    silent = words(model, "jumprelu", seed=12)
    silent.log_threshold.fill_(50.0)
    found = active_features(model, silent, TEXT)
    assert found.explained == pytest.approx([0.0] * len(TEXT), abs=1e-5)
    assert found.features == ((),) * len(TEXT) and found.strongest(5) == [] and found.l0 == 0


def test_a_text_is_read_as_the_harvest_read_its_own_and_what_that_left_out_is_marked() -> None:
    model, start = tiny_model(), tiny_model().tokenizer.document_start_id
    behind = active_features(model, harvested(), "the inn")
    assert behind.tokens[0] == start and behind.unseen == (True, *[False] * (len(behind.tokens) - 1))
    without = active_features(model, harvested(start_token=False), "the inn")
    assert without.tokens == behind.tokens[1:] and without.unseen[0] and not any(without.unseen[1:])
    kept = active_features(model, harvested(drop_start=False), "the inn")
    assert kept.tokens == behind.tokens and not any(kept.unseen)
    plain = active_features(model, words(model), "the inn")
    assert not any(plain.unseen) and plain.tokens == tuple(model.read("the inn").row(0))
    assert active_features(model, harvested(), "the inn", prepend_bos=False).tokens == without.tokens


def test_tokens_of_extreme_norm_are_marked_as_unseen() -> None:
    model = tiny_model()
    norms = values(model, "L1.resid_post", TEXT).norm(dim=-1)[1:]
    multiple = float(norms.max() / norms.median()) * 0.99
    largest = int(norms.argmax()) + 1
    if multiple > 1:
        found = active_features(model, harvested(norm_multiple=multiple), TEXT)
        assert [i for i, unseen in enumerate(found.unseen) if unseen] == [0, largest]
    assert not any(active_features(model, harvested(norm_multiple=100.0), TEXT).unseen[1:])


def test_what_features_cannot_be_read_of_is_said() -> None:
    model, dictionary = tiny_model(), words(tiny_model())
    with pytest.raises(InputError, match="the text is empty"):
        active_features(model, dictionary, "")
    with pytest.raises(InputError, match="features are read of one"):
        active_features(model, dictionary, model.read(["the", "inn"]))
    with pytest.raises(DictionaryError, match="reads at one Site and writes at another"):
        active_features(model, words(model, "transcoder", PAIR), TEXT, site="L1.mlp_out")
    stranger = words(model, "topk", seed=13)
    stranger.facts["weights"] = model.identity.to_dict() | {"fingerprint": "0" * 64}
    with pytest.warns(DictionaryWarning):
        active_features(model, stranger, TEXT)
    stranger.facts["weights"]["lineage"] = "1" * 64
    with pytest.raises(DictionaryError, match="not the same model"):
        active_features(model, stranger, TEXT)
    assert active_features(model, stranger, TEXT, force=True).to_dict()["tokens"][0]["id"] == TEXT[0]
