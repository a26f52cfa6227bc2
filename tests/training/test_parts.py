"""The small parts: which tensors decay, how the rate goes, how gradients are clipped, what streams hand out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn

from glassbook.core.errors import InputError
from glassbook.training import Examples, LanguageLearner, TokenWindows, all_windows, pad_examples
from glassbook.training.optimizer import clip_gradients, parameter_groups
from glassbook.training.schedule import Cosine
from training.tiny import settings, some_batch, some_text, tiny_gpt2


def test_tensors_of_two_axes_decay_and_biases_and_norms_do_not():
    net = tiny_gpt2()
    decaying, others = parameter_groups(net, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    names = {id(weight): name for name, weight in net.named_parameters()}
    assert all(
        names[id(weight)].endswith("bias") or ".ln" in names[id(weight)] or "ln_final" in names[id(weight)]
        for weight in others["params"]
    )
    assert {"embed.weight", "pos_embed.weight", "blocks.0.attn.qkv.weight"} <= {
        names[id(w)] for w in decaying["params"]
    }
    assert len(decaying["params"]) + len(others["params"]) == len(names), "each once, the tied matrix too"


def test_with_nothing_to_learn_matrices_shrink_by_the_decay_and_the_rest_stays():
    learner = LanguageLearner(tiny_gpt2(), settings(lr=0.1, min_lr=0.1, warmup=0, weight_decay=0.5))
    before = {name: weight.detach().clone() for name, weight in learner.net.named_parameters()}
    for weight in learner.net.parameters():
        weight.grad = torch.zeros_like(weight)
    learner.optimizer.step()
    for name, weight in learner.net.named_parameters():
        factor = 1 - 0.1 * 0.5 if weight.ndim >= 2 else 1
        assert torch.allclose(weight, before[name] * factor, rtol=1e-6)


def test_a_step_is_that_of_adamw_written_down_a_second_time():
    chosen = settings(lr=0.01, min_lr=0.01, warmup=0, weight_decay=0.2, betas=(0.8, 0.9), eps=1e-3, clip=0)
    learner, batch = LanguageLearner(tiny_gpt2(), chosen), some_batch()
    weights = {name: weight.detach().clone() for name, weight in learner.net.named_parameters()}
    first = dict.fromkeys(weights, 0.0)
    second = dict.fromkeys(weights, 0.0)
    for step in (1, 2, 3):
        twin = LanguageLearner(tiny_gpt2(), chosen)
        twin.net.load_state_dict(weights)
        twin._gradients(*batch, 1 / twin.n_counted(*batch))
        for name, weight in twin.net.named_parameters():
            first[name] = 0.8 * first[name] + 0.2 * weight.grad
            second[name] = 0.9 * second[name] + 0.1 * weight.grad**2
            decayed = weights[name] * (1 - 0.01 * 0.2 * (weight.ndim >= 2))
            root = (second[name] / (1 - 0.9**step)).sqrt() + 1e-3
            weights[name] = decayed - 0.01 * first[name] / (1 - 0.8**step) / root
        learner.step(batch)
        assert all(torch.allclose(w, weights[name], atol=2e-6) for name, w in learner.net.named_parameters())


def test_the_rate_rises_in_a_line_falls_in_half_a_cosine_and_stays():
    plan = Cosine(lr=1.0, min_lr=0.1, warmup=4, steps=24)
    assert [plan.at(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert plan.at(4) == 1.0
    assert plan.at(14) == pytest.approx(0.55)
    assert plan.at(9) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5)))
    assert plan.at(24) == plan.at(1000) == 0.1
    assert Cosine(1.0, 1.0, 0, 5).at(3) == 1.0


@given(st.integers(0, 20), st.integers(1, 50), st.floats(0, 1))
def test_after_warming_up_the_rate_never_rises_nor_leaves_its_bounds(warmup, more, least):
    plan = Cosine(1.0, least, warmup, warmup + more)
    rates = [plan.at(step) for step in range(warmup + more + 3)]
    assert rates[:warmup] == sorted(rates[:warmup]) and rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert min(rates[:warmup], default=1) > 0 and least <= min(rates[warmup:]) and max(rates) <= 1


def test_the_rate_of_each_step_is_that_of_the_schedule():
    learner = LanguageLearner(tiny_gpt2(), settings(steps=6, warmup=2))
    rates = [learner.step(some_batch())["lr"] for _ in range(8)]
    assert rates == [learner.settings.schedule.at(step) for step in range(8)]


@pytest.mark.parametrize("wrong", [{"warmup": 31}, {"min_lr": 1.0}, {"accumulate": 0}])
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(InputError):
        LanguageLearner(tiny_gpt2(), settings(**wrong)).step(some_batch())


@given(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), st.floats(0.01, 50))
def test_gradients_are_shortened_to_the_limit_all_by_one_factor_and_never_lengthened(values, limit):
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    before = torch.tensor(values)
    weights[0].grad, weights[1].grad = before[:2].clone(), before[2:].clone()
    norm = clip_gradients(weights, limit)
    assert norm == pytest.approx(before.norm().item(), rel=1e-5)
    after = torch.cat([weights[0].grad, weights[1].grad])
    factor = min(1.0, limit / max(norm, 1e-12))
    assert torch.allclose(after, before * factor, rtol=1e-3, atol=1e-4)
    assert weights[2].grad is None


def test_without_a_limit_gradients_are_left_alone():
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([30.0, 40.0])
    assert clip_gradients([weight], 0) == 50 and weight.grad.tolist() == [30, 40]


def test_windows_are_pieces_of_the_text_with_the_token_that_follows():
    ids = torch.arange(50).to(torch.int32)
    stream = TokenWindows(ids, batch=200, context=9, seed=0)
    tokens, counts = stream.next()
    assert counts is None and tokens.shape == (200, 10) and tokens.dtype == torch.int64
    assert (tokens == tokens[:, :1] + torch.arange(10)).all()
    assert set(tokens[:, 0].tolist()) == set(range(41)), "from the first to the last that fits"
    assert not torch.equal(stream.next()[0], tokens)
    assert torch.equal(TokenWindows(ids, 200, 9, 0).next()[0], tokens)
    assert not torch.equal(TokenWindows(ids, 200, 9, 1).next()[0], tokens)


def test_examples_come_once_an_epoch_in_another_order_each_time_and_go_on_where_they_were():
    rows = [([number] * (2 + number % 3), [True] * (2 + number % 3)) for number in range(10)]
    stream = Examples(rows, batch=3, seed=0)
    epochs = [[stream.next()[0][:, 0].tolist() for _ in range(stream.per_epoch)] for _ in range(3)]
    flat = [[row for batch in epoch for row in batch] for epoch in epochs]
    assert all(len(set(one)) == 9 for one in flat) and flat[0] != flat[1] != flat[2]
    other = Examples(rows, batch=3, seed=0)
    for _ in range(4):
        other.next()
    later = Examples(rows, batch=3, seed=0)
    later.load_state(other.state())
    assert later.next()[0][:, 0].tolist() == epochs[1][1]


def test_padding_counts_for_nothing():
    tokens, counts = pad_examples([([5, 6, 7], [False, True, True]), ([8, 9], [False, True])])
    assert tokens[:, :2].tolist() == [[5, 6], [8, 9]]
    assert counts.tolist() == [[False, True, True], [False, True, False]]


@given(n=st.integers(2, 60), batch=st.integers(1, 5), context=st.integers(1, 12))
@examples(max_examples=50)
def test_all_windows_predict_every_token_but_the_first_exactly_once(n, batch, context):
    targets = [tokens[:, 1:].flatten() for tokens, _ in all_windows(torch.arange(n), batch, context)]
    assert torch.cat(targets).tolist() == list(range(1, n))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TokenWindows(torch.arange(8), 2, 8, 0),
        lambda: TokenWindows(torch.arange(8), 0, 4, 0),
        lambda: Examples([([1, 2], [True, True])], 2, 0),
        lambda: pad_examples([([1, 2], [True])]),
        lambda: list(all_windows(torch.arange(1), 1, 4)),
    ],
)
def test_what_makes_no_batch_is_refused_in_a_sentence(make):
    with pytest.raises(InputError, match=";"):
        make()


def test_the_shortest_text_has_one_window():
    tokens, _ = TokenWindows(some_text(9), 2, 8, 0).next()
    assert torch.equal(tokens, some_text(9).expand(2, 9))
