"""What every kind of dictionary must do, those that are trained and those that are held against them."""

from pathlib import Path

import pytest
import torch

from features.samples import FITTED, ROWS, TRAINED, D, drawn, inputs, same
from glassbook.features import DICTIONARIES, DictionaryError, load_dictionary, make_dictionary, save_dictionary
from glassbook.features.dictionary import Dictionary
from glassbook.features.objective import Step

every_kind = pytest.mark.parametrize("label", ROWS)


def by_hand(dictionary: Dictionary, features: torch.Tensor) -> torch.Tensor:
    """Return f W_dec + b_dec, written out."""
    return torch.einsum("...n,nd->...d", features, dictionary.W_dec) + dictionary.b_dec


def test_every_registered_kind_is_in_the_suite():
    assert {row[0] for row in ROWS.values()} == set(DICTIONARIES)
    for label, (kind, *_) in ROWS.items():
        assert DICTIONARIES.find(kind).is_reference == (label in FITTED)


@every_kind
@pytest.mark.parametrize("lead", [(), (5,), (2, 3), (0,)])
def test_encode_and_decode_keep_the_leading_axes(label, lead):
    dictionary = drawn(label)
    features = dictionary.encode(torch.ones(*lead, D))
    assert features.shape == (*lead, dictionary.n_features)
    assert dictionary.decode(features).shape == (*lead, dictionary.d_out)
    assert dictionary(torch.ones(*lead, D)).shape == (*lead, dictionary.d_out)


@every_kind
def test_the_matrices_are_those_of_the_equations(label):
    dictionary = drawn(label)
    assert dictionary.W_enc.shape == (dictionary.d_in, dictionary.n_features)
    assert dictionary.W_dec.shape == (dictionary.n_features, dictionary.d_out)
    features = inputs(4, dictionary.n_features)
    assert torch.allclose(dictionary.decode(features), by_hand(dictionary, features), atol=1e-5)
    assert torch.equal(dictionary.decode(torch.zeros(dictionary.n_features)), dictionary.b_dec)


@every_kind
def test_the_forward_pass_is_decode_of_encode_and_what_goes_past(label):
    dictionary, x = drawn(label), inputs(6)
    past = dictionary.skip(x)
    assert (past is not None) == label.startswith("skip")
    expected = dictionary.decode(dictionary.encode(x))
    assert torch.equal(dictionary(x), expected if past is None else expected + past)


@every_kind
def test_sparse_features_are_the_dense_ones(label):
    dictionary, x = drawn(label), inputs(7).view(7, 1, D)
    sparse, dense = dictionary.encode_sparse(x), dictionary.encode(x)
    assert torch.equal(sparse.dense(dictionary.n_features), dense)
    assert sparse.indices.shape == sparse.values.shape == (7, 1, int((dense != 0).sum(-1).max()))


@every_kind
def test_rows_do_not_depend_on_their_neighbors(label):
    dictionary, x = drawn(label), inputs(40)
    together = dictionary.encode(x)
    alone = torch.cat([dictionary.encode(row[None]) for row in x])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_control_the_choice_within_a_batch_depends_on_neighbors():
    dictionary, x = drawn("batchtopk"), inputs(40)
    step = Step(n_rows=40)
    together = dictionary.learn(x, x, step).counts
    alone = sum(dictionary.learn(row[None], row[None], Step(n_rows=1)).counts for row in x)
    assert not torch.equal(together, alone)


@every_kind
def test_features_are_rare_but_in_the_ends_of_the_frontier(label):
    dictionary = drawn(label)
    share = float((dictionary.encode(inputs(200)) != 0).float().mean())
    assert share == 1 if label in ("identity", "pca, all") else 0 < share < 0.7


@every_kind
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_folder_gives_back_every_number(label, dtype, tmp_path):
    dictionary = drawn(label)
    dictionary.facts = {"site": "L3.resid_post", "weights": {"name": "tiny"}}
    save_dictionary(tmp_path / "words", dictionary, {"tokens": 12}, dtype=dtype)
    again = load_dictionary(tmp_path / "words")
    assert type(again) is type(dictionary) and again.settings == dictionary.settings
    assert again.facts == {"site": "L3.resid_post", "weights": {"name": "tiny"}, "tokens": 12}
    if dtype == "float32":
        assert same(dictionary.state_dict(), again.state_dict())
        assert torch.equal(dictionary(inputs(9)), again(inputs(9)))
    else:
        rounded = dictionary.to(getattr(torch, dtype)).float()
        assert same(rounded.state_dict(), again.state_dict())
    save_dictionary(tmp_path / "again", again, dtype=dtype)
    content = [(tmp_path / name / "dictionary.safetensors").read_bytes() for name in ("words", "again")]
    assert content[0] == content[1]


@every_kind
def test_gradients_reach_the_input_and_the_directions(label):
    dictionary, x = drawn(label), inputs(12).requires_grad_()
    dictionary(x).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad.any()
    assert dictionary.decoder.grad is not None and torch.isfinite(dictionary.decoder.grad).all()
    assert dictionary.decoder.grad.any()


@every_kind
def test_another_precision_is_kept_and_thresholds_stay_in_float32(label):
    dictionary, x = drawn(label), inputs(30)
    exact = dictionary.encode(x).detach()
    thresholds = {name: value.clone() for name, value in dictionary.state_dict().items() if "threshold" in name}
    if label != "omp":
        # The search solves equations, for which PyTorch has no bfloat16.
        dictionary.to(torch.bfloat16)
        features = dictionary.encode(x).detach()
        assert features.dtype is dictionary(x).dtype is torch.bfloat16
        assert float((features.float() - exact).norm() / exact.norm()) < 0.35
    assert same(thresholds, {name: dictionary.state_dict()[name] for name in thresholds})
    assert dictionary.to(torch.float64).encode(x).dtype is torch.float64


@every_kind
@pytest.mark.parametrize("fault", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_refused(label, fault):
    dictionary, x = drawn(label), inputs(5)
    dictionary.encode(x)
    x[3, 2] = fault
    with pytest.raises(DictionaryError, match="hold NaN or infinite numbers"):
        dictionary.encode(x)


@every_kind
def test_large_numbers_whose_sum_overflows_are_finite_all_the_same(label):
    drawn(label).checked(torch.full((4, D), 2e38))


@every_kind
def test_another_width_is_refused(label):
    with pytest.raises(DictionaryError, match=r"reads activations of 8 numbers and was given 9"):
        drawn(label).encode(inputs(5, D + 1))


@every_kind
def test_rescaled_features_reconstruct_the_same(label):
    dictionary, x = drawn(label), inputs(20)
    before, features = dictionary(x), dictionary.encode(x)
    dictionary.rescale(torch.full((dictionary.n_features,), 3.0))
    assert torch.allclose(dictionary(x), before, atol=1e-4)
    if label != "omp":
        # The search finds values by itself, whatever an encoder would say.
        assert torch.allclose(dictionary.encode(x), 3 * features, atol=1e-4)


@pytest.mark.parametrize("label", ["standard", "gated", "jumprelu", "skip-transcoder, jumprelu"])
def test_features_without_a_common_choice_take_each_a_factor_of_its_own(label):
    dictionary, x = drawn(label), inputs(20)
    before = dictionary(x)
    dictionary.rescale(torch.linspace(0.5, 4, dictionary.n_features))
    assert torch.allclose(dictionary(x), before, atol=1e-4)


@pytest.mark.parametrize("label", ["topk", "batchtopk", "matryoshka-batchtopk", "transcoder", "pca", "random"])
def test_features_of_which_the_largest_are_chosen_refuse_factors_that_differ(label):
    dictionary = drawn(label)
    with pytest.raises(DictionaryError, match="give one factor for all"):
        dictionary.rescale(torch.linspace(0.5, 4, dictionary.n_features))


@every_kind
def test_settings_make_the_same_kind_again_and_unknown_ones_are_refused(label):
    kind, d_in, n, d_out, _ = ROWS[label]
    settings = drawn(label).settings
    assert make_dictionary(kind, d_in, n, d_out, settings).settings == settings
    with pytest.raises(DictionaryError, match="no setting 'colour'"):
        make_dictionary(kind, d_in, n, d_out, settings | {"colour": 1})
    with pytest.raises(DictionaryError, match="n_features = 0"):
        make_dictionary(kind, d_in, 0, d_out)


@pytest.mark.parametrize("label", FITTED)
def test_references_are_fitted_and_not_trained(label):
    dictionary, x = drawn(label), inputs(20)
    dictionary.fit(x)
    with pytest.raises(DictionaryError, match="not trained by steps"):
        dictionary.learn(x, x, Step(n_rows=20))


@pytest.mark.parametrize("label", TRAINED)
def test_trained_kinds_are_not_fitted(label):
    with pytest.raises(DictionaryError, match="is trained by steps"):
        drawn(label).fit(inputs(20))


def test_the_identity_reconstructs_exactly_and_a_random_dictionary_does_not():
    x = inputs(50)
    assert torch.equal(drawn("identity")(x), x)
    assert not torch.allclose(drawn("random")(x), x, atol=0.1)


def test_a_folder_with_an_unknown_kind_is_refused(tmp_path: Path):
    save_dictionary(tmp_path / "words", drawn("topk"))
    record = tmp_path / "words" / "dictionary.json"
    record.write_text(record.read_text().replace('"topk"', '"spade"'))
    with pytest.raises(Exception, match="no kind of dictionary is named 'spade'"):
        load_dictionary(tmp_path / "words")
