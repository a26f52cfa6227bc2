"""The ends of an evaluation are those of the model: the identity costs nothing, ablation everything."""

import json

import pytest
import torch

from conformance.tiny import tiny_model
from features.spliced import PAIR, words
from glassbook.activations.store import Harvest, harvest
from glassbook.core.errors import FileFormatError, InputError
from glassbook.features import (
    Dictionary,
    DictionaryError,
    EvaluationSettings,
    evaluate,
    make_dictionary,
    open_evaluation,
    save_dictionary,
    save_evaluation,
)
from glassbook.features.metrics.in_model import score
from glassbook.features.metrics.saebench import core_results

FEW = EvaluationSettings(tokens=400, loss_contexts=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the activations of the tiny model on a little text, where a stream's and a transcoder's dictionary read."""
    how = Harvest(tokens=600, context=32, dtype="float32")
    sites = ["L1.resid_post", *PAIR]
    return harvest(tiny_model(), "alice", sites, tmp_path_factory.mktemp("stores") / "store", how)


def whole(kind: str = "identity") -> Dictionary:
    """Return a dictionary that gives everything back."""
    made = make_dictionary(kind, 32, 32)
    made.facts |= {"weights": tiny_model().identity.to_dict(), "site": "L1.resid_post"}
    return made


def constant(value: torch.Tensor) -> Dictionary:
    """Return a dictionary without an active feature, which gives back its bias."""
    made = make_dictionary("standard", 32, 4)
    with torch.no_grad():
        made.b_dec.copy_(value)
    made.facts |= {"weights": tiny_model().identity.to_dict(), "site": "L1.resid_post"}
    return made


def test_the_identity_costs_nothing_zero_and_mean_cost_what_their_ablations_do(store) -> None:
    model, mean = tiny_model(), store.rows("L1.resid_post").double().mean(0).float()
    same, zero, middle = (
        evaluate(one, model, store, settings=FEW) for one in (whole(), constant(torch.zeros(32)), constant(mean))
    )
    assert same.reconstruction.fvu == pytest.approx(0, abs=1e-9)
    assert same.in_model.ce_score() == same.in_model.kl_score("mean") == pytest.approx(1, abs=1e-4)
    assert zero.in_model.ce_score() == zero.in_model.kl_score() == 0
    assert zero.in_model.kl_spliced == zero.in_model.kl_zero > 0
    assert middle.reconstruction.explained_variance == pytest.approx(0, abs=1e-6)
    assert middle.in_model.ce_score("mean") == pytest.approx(0, abs=1e-6) == middle.in_model.kl_score("mean")
    assert zero.reconstruction.dead == 1 and score(1.0, 2.0, 1.0) != score(1.0, 2.0, 1.0)


def test_the_loss_is_the_models_own_at_the_tokens_that_were_chosen(store) -> None:
    model = tiny_model()
    found = evaluate(words(model), model, store, settings=EvaluationSettings(loss_contexts=1000))
    losses = []
    for number in range(store.n_contexts):
        ids = store.context(number).tokens
        logits = model([ids.tolist()])[0, :-1].log_softmax(-1)
        losses.append(-logits.gather(-1, torch.from_numpy(ids.astype("int64"))[1:, None]))
    assert found.in_model.ce == pytest.approx(float(torch.cat(losses).double().mean()), rel=1e-5)
    assert found.in_model.ce_spliced != found.in_model.ce


@pytest.mark.parametrize("kind", ["batchtopk", "gated", "transcoder", "skip-transcoder"])
def test_the_numbers_are_those_of_encode_and_decode(store, kind: str) -> None:
    model = tiny_model()
    dictionary = words(model, kind, PAIR if "transcoder" in kind else "L1.resid_post")
    found = evaluate(dictionary, model, store, settings=FEW)
    read, written = PAIR if "transcoder" in kind else ("L1.resid_post",) * 2
    x, y = store.rows(read), store.rows(written)
    missed = (y - dictionary(x)).double().square().sum() / (y - y.mean(0)).double().square().sum()
    assert found.reconstruction.fvu == pytest.approx(float(missed), rel=1e-4)
    assert found.reconstruction.l0 == pytest.approx(float((dictionary.encode(x) != 0).sum(1).float().mean()))
    interval = found.intervals["explained_variance"]
    assert interval.low < interval.estimate < interval.high
    assert interval.estimate == pytest.approx(found.reconstruction.explained_variance)


def test_one_context_alone_says_nothing_of_how_much_contexts_differ(store) -> None:
    model = tiny_model()
    one, two = (evaluate(words(model), model, store, settings=EvaluationSettings(loss_contexts=n)) for n in (1, 2))
    assert "kl_score" not in one.intervals and one.in_model.kl_score() < 1
    assert "kl_score" in two.intervals and "l0" in one.intervals


def test_a_corpus_is_read_as_the_dictionarys_harvest_read_its_own() -> None:
    model = tiny_model()
    dictionary = words(model, "topk", seed=8)
    dictionary.facts["harvest"] = {"policy": {"drop_start": True, "norm_multiple": None, "start_token": True}}
    found = evaluate(dictionary, model, "alice", settings=FEW)
    assert found.facts["harvest"]["policy"] == dictionary.facts["harvest"]["policy"]
    assert 400 <= found.reconstruction.n_tokens < 500 and found.facts["corpus"]["name"] == "alice"


def test_without_a_model_there_is_no_loss_and_a_stranger_is_refused(store) -> None:
    model, dictionary = tiny_model(), words(tiny_model())
    assert evaluate(dictionary, None, store).in_model is None
    with pytest.raises(InputError, match="needs a model"):
        evaluate(dictionary, None, "alice")
    stranger = whole()
    stranger.facts["weights"] |= {"fingerprint": "0" * 64, "lineage": "1" * 64, "name": "another"}
    with pytest.raises(DictionaryError, match="trained on another"):
        evaluate(stranger, model, store)
    with pytest.raises(InputError, match="cannot be measured on"):
        EvaluationSettings(tokens=0)


def test_an_evaluation_lies_beside_its_dictionary_and_is_refused_beside_another(store, tmp_path) -> None:
    model, dictionary = tiny_model(), words(tiny_model())
    found = evaluate(dictionary, model, store, settings=FEW)
    folder = save_dictionary(tmp_path / "dictionary", dictionary)
    path = save_evaluation(folder, found)
    kept = open_evaluation(folder)
    assert {name: kept[name] for name in ("l0", "fvu", "ce_score")} == {
        name: found.to_dict()[name] for name in ("l0", "fvu", "ce_score")
    }
    path.write_text(json.dumps(kept | {"dictionary": "0" * 64}))
    with pytest.raises(FileFormatError, match="of other weights"):
        open_evaluation(folder)
    path.write_text("{")
    with pytest.raises(FileFormatError, match="damaged"):
        open_evaluation(folder)
    small = save_dictionary(tmp_path / "small", make_dictionary("standard", 8, 3))
    with pytest.raises(InputError, match="3 features and the evaluation is of 40"):
        save_evaluation(small, found)
    with pytest.raises(FileFormatError, match="holds no evaluation"):
        open_evaluation(small)


def test_saebenchs_core_results_hold_the_same_numbers(store) -> None:
    model = tiny_model()
    found = evaluate(words(model), model, store, settings=FEW)
    metrics = core_results(found)["eval_result_metrics"]
    assert metrics["model_performance_preservation"]["ce_loss_score"] == found.in_model.ce_score()
    assert (
        metrics["reconstruction_quality"]["explained_variance_legacy"] == found.to_dict()["explained_variance_by_token"]
    )
    assert metrics["sparsity"]["l0"] == found.reconstruction.l0
    bare = core_results(evaluate(words(model), None, store))["eval_result_metrics"]
    assert bare["model_behavior_preservation"]["kl_div_score"] == -1
    json.dumps(core_results(found), allow_nan=False)
