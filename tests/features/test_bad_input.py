"""What cannot be learned from is one sentence; nothing is learned from it, and the training goes on with what is sound."""

import pytest
import torch

from features.samples import D, K, N, inputs
from glassbook.core.errors import GlassbookError, InputError
from glassbook.features import Wanted, train, train_many
from glassbook.features.dictionary import make_dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.training import Running


def learner(kind="topk", d_out=D):
    settings = {"k": K} if kind == "topk" else {"activation": "topk", "activation_settings": {"k": K}}
    made = make_dictionary(kind, D, N, d_out, settings)
    return DictionaryLearner(made, DictionarySettings(steps=10, lr=0.01, dtype="float32"))


def bad(number, value):
    found = inputs(32, seed=9)
    found[number, number % D] = value
    return found


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"lr": 0.0}, {"lr": -1e-3}, {"aux_k": 0}])
def test_settings_that_train_nothing_are_refused_and_not_replaced(wrong):
    with pytest.raises(InputError, match=r"trains nothing|learns nothing"):
        DictionarySettings(**{"steps": 10} | wrong)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (inputs(32, D + 1), f"reads activations of {D} numbers and was given {D + 1}"),
        (bad(3, torch.nan), "the activations hold NaN or infinite numbers"),
        (bad(31, torch.inf), "the activations hold NaN or infinite numbers"),
    ],
)
@pytest.mark.parametrize("steps_before", [0, 3])
def test_of_a_bad_batch_nothing_is_learned(batch, words, steps_before):
    one, other = learner(), learner()
    for number in range(steps_before):
        one.step(inputs(32, seed=number))
        other.step(inputs(32, seed=number))
    with pytest.raises(DictionaryError, match=words):
        one.step(batch)
    for number in range(3, 5):
        one.step(inputs(32, seed=number))
        other.step(inputs(32, seed=number))
    state = other.state()
    assert all(torch.equal(value, state[name]) for name, value in one.state().items())


@pytest.mark.parametrize("target", [inputs(32, 5), inputs(32, 6).masked_fill(torch.eye(32, 6) > 0, torch.nan)])
def test_what_a_transcoder_cannot_write_is_refused_too(target):
    with pytest.raises(DictionaryError, match="writes 6 finite numbers"):
        learner("transcoder", 6).step((inputs(32), target))


def test_activations_that_are_all_the_same_are_refused():
    with pytest.raises(DictionaryError, match="half of the activations are one and the same"):
        learner().step(torch.ones(32, D))


class Rows:
    """A stream whose batches are good up to one of them."""

    def __init__(self, n_good):
        self.n_good, self.drawn = n_good, 0

    def next(self):
        self.drawn += 1
        return inputs(32, seed=self.drawn) if self.drawn <= self.n_good else bad(0, torch.nan)

    def state(self):
        return {"drawn": torch.tensor(self.drawn)}

    def load_state(self, state):
        self.drawn = int(state["drawn"])


def test_the_checkpoint_before_a_bad_batch_stands_and_a_mended_stream_goes_on_from_it(tmp_path):
    wanted = {"it": Wanted(n_features=N, kind="topk", k=K, training={"lr": 0.01, "dtype": "float32"})}
    running = {"steps": 10, "checkpoint_every": 2, "log_every": 1}
    with pytest.raises(DictionaryError, match="NaN or infinite"):
        train_many(Rows(7), wanted, Running(folder=tmp_path, **running), (D, D))
    told = []
    again = train_many(
        Rows(10), wanted, Running(folder=tmp_path, on_metrics=lambda step, row: told.append(step), **running), (D, D)
    )
    whole = train_many(Rows(10), wanted, Running(**running), (D, D))
    assert told == [7, 8, 9, 10]
    assert torch.equal(again["it"].dictionary.encoder, whole["it"].dictionary.encoder)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"site": "L0.resid_post", "tokens": 8, "batch_size": 16}, "8 tokens make no batch of 16"),
        ({"site": "L0.resid_post"}, "a corpus needs a model that reads it"),
        ({"site": ("L0.resid_mid", "L0.mlp_out")}, "a batchtopk dictionary has one Site and two were given"),
        ({"site": "L0.resid_post", "kind": "transcoder"}, "a transcoder has two Sites"),
        ({"site": "nowhere"}, "no Site is spelled 'nowhere'"),
        ({"site": "L0.resid_post", "kind": "omp"}, "a corpus needs a model"),
    ],
)
def test_what_cannot_be_asked_of_the_library_is_one_sentence(how, words):
    with pytest.raises(GlassbookError, match=words) as fault:
        train(None, ["a text"], n_features=N, **how)
    assert "\n" not in str(fault.value)


def test_a_setting_that_a_training_does_not_have_is_told_with_those_it_has():
    wanted = {"it": Wanted(n_features=N, kind="topk", k=K, training={"rate": 0.01})}
    with pytest.raises(InputError, match="a training has no 'rate'; it has lr, "):
        train_many(Rows(1), wanted, Running(steps=1), (D, D))
