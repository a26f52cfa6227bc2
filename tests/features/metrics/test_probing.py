"""Sparse probing finds what was planted, nothing where labels are chance, and never looks at the texts it is tested on."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from conformance.tiny import tiny_model
from features.spliced import words
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features import DictionaryError
from glassbook.features.metrics.labelled_texts import TEST, TRAIN, LabelledTexts, load_labelled
from glassbook.features.metrics.pooling import STREAM, Pool
from glassbook.features.metrics.probing import (
    ALL,
    FEATURES,
    RANDOM,
    SHUFFLED,
    Part,
    ProbingSettings,
    furthest_apart,
    probed,
    sparse_probing,
)

HOW = ProbingSettings(ks=(1, 2, 5))
NAMES = ("planted", "planted")
CLASS = 7
"""The feature that was planted."""


def part(n: int, seed: int, planted: bool = True) -> Part:
    """Return rows of 12 features of which one is active at texts of the class alone, if it is planted."""
    chance = generator(seed, "probing", n)
    is_positive = torch.arange(n) % 2 == 0
    features = torch.rand(n, 12, generator=chance)
    if planted:
        features[:, CLASS] = is_positive * (1 + features[:, CLASS])
    return Part({FEATURES: features, STREAM: torch.randn(n, 6, generator=chance)}, is_positive)


def test_one_perfect_feature_is_chosen_and_tells_every_text() -> None:
    found = probed(part(80, 0), part(60, 1), NAMES, HOW)
    assert found.chosen[0] == CLASS
    assert [found.accuracy[FEATURES][k].estimate for k in ("1", "2", "5")] == [1, 1, 1]
    assert found.accuracy[STREAM][ALL].estimate < 0.8


def test_without_it_and_under_shuffled_labels_half_of_the_texts_are_told() -> None:
    bare, full = (probed(part(200, 0, is_planted), part(200, 1, is_planted), NAMES, HOW) for is_planted in (0, 1))
    for chance in (bare.accuracy[FEATURES], bare.accuracy[SHUFFLED], full.accuracy[SHUFFLED]):
        assert all(not one.excludes(0.5) for one in chance.values())
    assert full.accuracy[FEATURES]["1"].excludes(0.5)


def test_more_features_are_the_fewer_and_others() -> None:
    train = part(80, 0)
    order = furthest_apart(train.rows[FEATURES], train.is_positive)
    apart = (train.rows[FEATURES][::2].double().mean(0) - train.rows[FEATURES][1::2].double().mean(0)).abs()
    assert apart[order].tolist() == sorted(apart.tolist(), reverse=True)
    few, many = (probed(train, part(60, 1), NAMES, ProbingSettings(ks=(k,))).chosen for k in (2, 5))
    assert many[:2] == few and len(many) == 5


def test_test_labels_decide_nothing_but_the_score() -> None:
    train, test = part(80, 0), part(60, 1)
    true, turned = (probed(train, one, NAMES, HOW) for one in (test, replace(test, is_positive=~test.is_positive)))
    assert true.chosen == turned.chosen
    assert turned.accuracy[FEATURES]["1"].estimate == 1 - true.accuracy[FEATURES]["1"].estimate == 0
    assert probed(replace(train, is_positive=torch.arange(80) < 40), test, NAMES, HOW).chosen != true.chosen


def test_the_order_of_features_changes_nothing() -> None:
    train, test = part(80, 0, planted=False), part(60, 1, planted=False)
    order = torch.randperm(12, generator=generator(2, "order"))
    turned = [Part({**one.rows, FEATURES: one.rows[FEATURES][:, order]}, one.is_positive) for one in (train, test)]
    first, second = probed(train, test, NAMES, HOW), probed(*turned, NAMES, HOW)
    assert first.accuracy[FEATURES] == second.accuracy[FEATURES]
    assert [int(order[feature]) for feature in second.chosen] == list(first.chosen)


@pytest.mark.parametrize("is_positive", [torch.zeros(60, dtype=torch.bool), torch.arange(60) < 1])
def test_one_class_and_one_text_of_a_class_are_refused(is_positive: torch.Tensor) -> None:
    with pytest.raises(InputError):
        probed(part(80, 0), replace(part(60, 1), is_positive=is_positive), NAMES, HOW)


@pytest.fixture(scope="module")
def texts() -> LabelledTexts:
    """Return a few passages of two books."""
    books = load_labelled("books")
    kept = [place for name in ("alice", "oz") for which in (TRAIN, TEST) for place in books.places(name, which)[:20]]
    pick = [tuple(row[place] for place in kept) for row in (books.texts, books.classes, books.parts)]
    return LabelledTexts("two books", *pick, books.licence, books.origin)


FEW = ProbingSettings(ks=(1, 3), context=24)


def test_a_models_texts_are_probed_beside_their_controls(texts) -> None:
    model = tiny_model()
    found = sparse_probing(words(model), model, [texts], settings=FEW)
    (task,) = found.tasks
    assert (task.data, task.task, task.n_train, task.n_test) == ("two books", "two books", 40, 40)
    assert {given: sorted(one) for given, one in task.accuracy.items()} == {
        FEATURES: ["1", "3"],
        STREAM: ["1", "3", ALL],
        RANDOM: ["1", "3"],
        SHUFFLED: ["1", "3"],
    }
    assert found.mean(FEATURES, 1) == task.accuracy[FEATURES]["1"].estimate and found.mean(FEATURES, 2) is None
    assert found.to_dict()["mean_accuracy"][STREAM][ALL] == found.mean(STREAM, ALL)
    assert sparse_probing(words(model), model, [texts], settings=FEW).to_dict() == found.to_dict()


def test_how_a_feature_shares_its_scale_with_its_direction_changes_nothing(texts) -> None:
    model = tiny_model()
    plain, other = words(model, "standard"), words(model, "standard", seed=1)
    scaled = deepcopy(plain)
    scaled.rescale(torch.rand(40, generator=generator(0, "factors")) * 3 + 0.2)
    pool = Pool(model, plain, model.sites("L1.resid_post")[0], 24, texts.texts)
    rows = pool.rows(texts.texts, {"plain": plain, "scaled": scaled, "other": other})
    assert torch.allclose(rows["plain"], rows["scaled"], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(rows["plain"], rows["other"], rtol=1e-2)


def test_a_row_is_the_mean_over_the_tokens_that_are_kept_whatever_else_is_in_the_pass(texts) -> None:
    model = tiny_model()
    site, dictionary = model.sites("L1.resid_post")[0], words(model)
    pool = Pool(model, dictionary, site, 24, texts.texts)
    together = pool.rows(texts.texts[:5], {"features": dictionary})
    alone = [pool.rows([text], {"features": dictionary}) for text in texts.texts[:5]]
    for name in ("features", STREAM):
        assert torch.allclose(together[name], torch.cat([one[name] for one in alone]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[STREAM][0], together[STREAM][1], rtol=1e-2)


def test_what_cannot_be_probed_is_said_in_a_sentence(texts) -> None:
    model = tiny_model()
    with pytest.raises(InputError, match="no set of texts"):
        sparse_probing(words(model), model, [])
    with pytest.raises(DictionaryError, match="reads activations of 32 numbers and was given 48"):
        sparse_probing(words(model), model, [texts], site="L1.mlp_post", settings=FEW)
    empty = replace(texts, texts=("", *texts.texts[1:]))
    with pytest.raises(InputError, match="has no token that is kept"):
        sparse_probing(words(model), model, [empty], settings=FEW)
    for wrong in ({"ks": ()}, {"ks": (0,)}, {"n_train": 2}):
        with pytest.raises(InputError):
            ProbingSettings(**wrong)
