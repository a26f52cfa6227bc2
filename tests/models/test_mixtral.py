"""A mixture computes only the experts that the router chose, obeys edits of the router, and measures its own balance."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from conformance.probes import WeightsRead
from conformance.tiny import MIXTRAL, our_net_of, tiny_config, tiny_model, tiny_theirs
from glassbook.activations.capture import capture
from glassbook.core.sites import Site
from glassbook.core.taps import IDLE, Edit, Span, Taps
from glassbook.models.int8 import Int8Linear, hold_in_int8
from glassbook.models.mixtral import Mixtral, Mixture, load_balancing_loss
from glassbook.steering.vectors import SteeringVector

CONFIG = tiny_config(MIXTRAL)
TOKENS = torch.randint(262, (3, 11), generator=torch.Generator().manual_seed(2))


def a_mixture(n_experts: int, top_k: int) -> Mixture:
    """Return a mixture with lively weights."""
    mixture = Mixture(replace(CONFIG, n_experts=n_experts, top_k=top_k)).requires_grad_(False)
    for i, weight in enumerate(mixture.parameters()):
        torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(i))
    return mixture


def some(*shape: int, seed: int = 0) -> Tensor:
    """Return random numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def experts_read(mixture: Mixture, x: Tensor) -> set[int]:
    """Return the experts whose weights a pass reads."""
    with WeightsRead(mixture) as seen:
        mixture(x, IDLE.at())
    return {int(name.split(".")[1]) for name in seen.names if name.startswith("experts.")}


@pytest.mark.usefixtures("without_kernel")  # FLOP and reads are counted where PyTorch computes
@pytest.mark.parametrize("n_experts, top_k", [(8, 2), (8, 1), (5, 3), (2, 2), (1, 1)])
@pytest.mark.parametrize("n_tokens", [1, 2, 33])
def test_each_token_is_multiplied_by_its_chosen_experts_and_by_no_other(n_experts, top_k, n_tokens):
    mixture, x = a_mixture(n_experts, top_k), some(1, n_tokens, CONFIG.d_model)
    expert = 2 * 3 * CONFIG.d_model * CONFIG.d_mlp
    router = 2 * CONFIG.d_model * n_experts

    def flop(function) -> int:
        with FlopCounterMode(display=False) as counter:
            function()
        return counter.get_total_flops()

    assert flop(lambda: mixture(x, IDLE.at())) == n_tokens * (router + top_k * expert)
    weights = mixture.weigh(mixture.router(x))[0]
    dense = flop(lambda: mixture._mix_all(x[0], weights))
    assert dense >= n_tokens * n_experts * expert, "the control: every expert on every token"
    chosen = set(weights.nonzero()[:, 1].tolist())
    assert experts_read(mixture, x) == chosen
    assert len(chosen) == top_k or n_tokens > 1


@settings(max_examples=25)
@given(n_experts=st.integers(1, 7), n_tokens=st.integers(1, 40), seed=st.integers(0, 10**6), data=st.data())
def test_sparse_and_dense_mixtures_are_the_same_sum(n_experts, n_tokens, seed, data):
    mixture = a_mixture(n_experts, data.draw(st.integers(1, n_experts)))
    x = some(n_tokens, CONFIG.d_model, seed=seed)
    weights = mixture.weigh(mixture.router(x))
    assert torch.allclose(mixture._mix(x, weights), mixture._mix_all(x, weights), atol=1e-5)
    assert (
        not torch.allclose(mixture._mix(x, weights), mixture._mix_all(x, weights.roll(1, 1)), atol=1e-3)
        or n_experts == 1
    )


@settings(max_examples=40)
@given(n_experts=st.integers(1, 9), seed=st.integers(0, 10**6), data=st.data())
def test_the_weights_are_the_softmax_over_the_best_scores_and_zero_elsewhere(n_experts, seed, data):
    top_k = data.draw(st.integers(1, n_experts))
    logits = 4 * some(6, n_experts, seed=seed)
    weights = a_mixture(n_experts, top_k).weigh(logits)
    assert (weights > 0).sum(1).eq(top_k).all()
    assert torch.allclose(weights.sum(1), torch.ones(6))
    for row, scores in zip(weights, logits, strict=True):
        best = scores.argsort(descending=True)[:top_k]
        assert torch.allclose(row[best], scores[best].exp() / scores[best].exp().sum(), rtol=1e-4)


def routed(site: str, change) -> tuple[Tensor, Tensor]:
    """Return the router's weights and the mixture's output in layer 1 under an edit of the router."""
    edit = Edit(Site.parse(site), change)
    cache = capture(tiny_model(MIXTRAL), TOKENS, ["L1.router_weights", "L1.mlp_out"], edits=[edit])
    return cache["router_weights", 1], cache["mlp_out", 1]


def unchanged(value: Tensor, _: Span) -> Tensor:
    """Hand the value back."""
    return value


def favor_two(value: Tensor, _: Span) -> Tensor:
    """Make expert 2 the best of all."""
    return torch.cat((value[..., :2], value[..., 2:3] + 100, value[..., 3:]), -1)


@pytest.mark.usefixtures("without_kernel")  # FLOP and reads are counted where PyTorch computes
def test_an_edit_of_the_scores_changes_which_experts_run():
    model = tiny_model(MIXTRAL)
    plain, written = routed("L1.router_logits", unchanged)
    steered, moved = routed("L1.router_logits", favor_two)
    assert not bool((plain[..., 2] > 0.99).all()), "the control: no token is so sure by itself"
    assert bool((steered[..., 2] > 0.99).all())
    assert float((moved - written).abs().max()) > 0.1
    alone = Edit(Site.parse("L1.router_weights"), lambda value, _: torch.eye(4)[2].expand_as(value))
    with WeightsRead(model.net) as seen:
        model.net(TOKENS, Taps(edits=[alone]))
    ran = [{name.split(".")[4] for name in seen.names if name.startswith(f"blocks.{i}.mlp.experts.")} for i in (0, 1)]
    assert ran == [{"0", "1", "2", "3"}, {"2"}]


def test_what_the_weights_say_after_an_edit_is_what_is_mixed():
    _, written = routed("L1.router_weights", unchanged)
    nothing, silent = routed("L1.router_weights", lambda value, _: torch.zeros_like(value))
    assert not nothing.any() and not silent.any()
    _, doubled = routed("L1.router_weights", lambda value, _: 2 * value)
    assert torch.allclose(doubled, 2 * written, rtol=1e-5)
    each = [routed("L1.router_weights", lambda value, _, i=i: torch.eye(4)[i].expand_as(value))[1] for i in range(4)]
    _, all_four = routed("L1.router_weights", lambda value, _: torch.ones_like(value))
    assert torch.allclose(all_four, sum(each), atol=1e-5), "as many experts run as have weight, not only top_k"
    assert not torch.allclose(all_four, sum(each[:3]), atol=1e-2)


def test_a_vector_may_steer_the_router_with_and_without_a_cache():
    model = tiny_model(MIXTRAL)
    vector = SteeringVector(site=Site("router_logits", 0), values=torch.tensor([0.0, 9, 0, 0]), identity=model.identity)
    prompts = [[5, 9, 2], [7, 8, 1, 3, 3, 90]]
    plain = model(prompts[:1])
    assert torch.equal(model(prompts[:1], steer=0 * vector), plain)
    assert not torch.allclose(model(prompts[:1], steer=vector), plain, atol=1e-2)
    together = model.complete(prompts, steer=vector, max_new_tokens=6)
    for prompt, one in zip(prompts, together, strict=True):
        tokens = list(prompt)
        for token in one.tokens:
            best = model([tokens], steer=vector)[0, -1].topk(2)
            assert int(best.indices[0]) == token or float(best.values[0] - best.values[1]) < 1e-3
            tokens.append(token)


def test_a_window_narrows_attention_as_in_transformers_with_and_without_a_cache():
    theirs = tiny_theirs(MIXTRAL)
    net = our_net_of(MIXTRAL, replace(CONFIG, windows=(4,) * CONFIG.n_layers), theirs.state_dict())
    narrow = copy.deepcopy(theirs.config)
    narrow.sliding_window = 4
    expected = AutoModelForCausalLM.from_config(narrow, attn_implementation="eager").eval()
    expected.load_state_dict(theirs.state_dict())
    assert torch.allclose(net(TOKENS), expected(TOKENS).logits, atol=1e-4)
    cache = net.new_cache(*TOKENS.shape)
    parts = [net(part, cache=cache) for part in TOKENS.split((5, 1, 1, 4), 1)]
    assert torch.allclose(torch.cat(parts, 1), net(TOKENS), atol=1e-4)
    assert not torch.allclose(theirs(TOKENS).logits, expected(TOKENS).logits, atol=1e-2), "the control"


def test_held_in_int8_the_experts_are_and_the_router_is_not():
    net = Mixtral(CONFIG)
    net.init_weights(0)
    before = net.blocks[0].mlp.router.weight.clone()
    hold_in_int8(net)
    assert all(isinstance(expert.down, Int8Linear) for expert in net.blocks[0].mlp.experts)
    assert torch.equal(net.blocks[0].mlp.router.weight, before)
    assert net(TOKENS).isfinite().all()


@settings(max_examples=40)
@given(
    n_experts=st.integers(2, 8), n_layers=st.integers(1, 3), rows=st.integers(1, 4), is_padded=st.booleans(),
    seed=st.integers(0, 10**6), data=st.data(),
)  # fmt: skip
def test_the_load_balancing_loss_and_its_gradient_are_those_of_transformers(
    n_experts, n_layers, rows, is_padded, seed, data
):
    top_k = data.draw(st.integers(1, n_experts))
    ours = [some(rows, 7, n_experts, seed=seed + i).requires_grad_() for i in range(n_layers)]
    theirs = [each.detach().clone().requires_grad_() for each in ours]
    is_real = some(rows, 7, seed=seed) > -0.5 if is_padded else None
    if is_real is not None:
        is_real[0, 0] = True
    loss = load_balancing_loss(ours, top_k, is_real)
    expected = load_balancing_loss_func(tuple(each.flatten(0, 1) for each in theirs), n_experts, top_k, is_real)
    assert torch.allclose(loss, expected, rtol=1e-5)
    loss.backward()
    expected.backward()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_the_control_scores_and_masks_that_differ_have_another_loss_and_gradients_are_no_zeros():
    logits = some(2, 7, 5).requires_grad_()
    loss = load_balancing_loss([logits], 2)
    loss.backward()
    assert float(logits.grad.abs().max()) > 1e-3
    is_real = torch.arange(7).expand(2, 7) < torch.tensor([[7], [3]])
    for other in (
        load_balancing_loss([-logits], 2),
        load_balancing_loss([logits], 3),
        load_balancing_loss([logits], 2, is_real),
    ):
        assert abs(float(other.detach() - loss.detach())) > 1e-2


@pytest.mark.parametrize("top_k", [1, 2])
def test_even_routing_costs_top_k_and_one_expert_for_all_costs_the_number_of_experts(top_k):
    even = torch.eye(4).repeat(3, 1)[None] * 1e-3 + torch.eye(4).roll(1, 1).repeat(3, 1)[None] * 5e-4
    assert float(load_balancing_loss([even], top_k)) == pytest.approx(top_k, rel=1e-3)
    crowded = torch.tensor([50.0, 0, 0, 0]).expand(1, 12, 4)
    assert float(load_balancing_loss([crowded], top_k)) == pytest.approx(4)


def test_following_the_gradient_of_the_loss_evens_the_routing_out():
    scores, bias = some(1, 64, 4), torch.tensor([1.0, 0.5, 0, -1])
    before = float(load_balancing_loss([scores + bias], 2))
    for _ in range(30):
        bias.requires_grad_()
        (gradient,) = torch.autograd.grad(load_balancing_loss([scores + bias], 2), bias)
        bias = (bias - 0.5 * gradient).detach()
    after = float(load_balancing_loss([scores + bias], 2))
    assert after < before - 0.1
    assert after == pytest.approx(2, abs=0.1)
