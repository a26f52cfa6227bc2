"""What every architecture must do: exactness, causality, and a residual stream that is the sum of its writes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from conformance.conftest import Case
from conformance.probes import same_routes
from conformance.shapes import ROWS
from conformance.tiny import their_net
from glassbook.activations.cache import ActivationCache
from glassbook.activations.capture import capture
from glassbook.core.errors import ModelError, SiteError
from glassbook.core.sites import KINDS, Site
from glassbook.core.taps import IDLE, Taps
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.loading.dialect import make_config

ROUNDING = 1e-5


def everything(case: Case) -> ActivationCache:
    """Return every Site of a pass over the case's tokens."""
    return capture(case.model, case.tokens, case.sites)


def assert_close(one: Tensor, other: Tensor, what: object, within: float = ROUNDING) -> None:
    """Compare relative to the largest value, since a stream may be large everywhere."""
    allowed = within * max(1.0, float(other.abs().max()))
    assert float((one - other).abs().max()) <= allowed, f"{what} differ by {float((one - other).abs().max())}"


def test_every_registered_architecture_has_a_row_in_the_table() -> None:
    assert set(ROWS) == set(ARCHITECTURES)


def test_logits_equal_those_of_transformers_on_the_same_weights(case: Case) -> None:
    eager = case.theirs(case.tokens).logits
    allowed = 1e-4
    if case.theirs._supports_sdpa:
        fused = their_net(case.architecture, case.label, "sdpa")(case.tokens).logits
        allowed = max(allowed, 2 * float((eager - fused).abs().max()))
    ours = case.net(case.tokens)
    assert float((ours - eager).abs().max()) <= allowed
    top = eager.topk(2).values
    is_clear = top[..., 0] - top[..., 1] > allowed
    assert is_clear.float().mean() > 0.9
    assert torch.equal(ours.argmax(-1)[is_clear], eager.argmax(-1)[is_clear])


def test_logits_of_other_weights_are_told_apart(case: Case) -> None:
    net = case.fresh_net()
    with torch.no_grad():
        net.blocks[0].attn.out.weight[0, 0] += 0.5
    assert float((net(case.tokens) - case.theirs(case.tokens).logits).abs().max()) > 1e-3


def reach(case: Case) -> int:
    """Return how many tokens, itself among them, can learn of a token: each layer hands it on by its window."""
    windows = [case.net.config.window(layer) for layer in range(case.net.config.n_layers)]
    return 1 + sum(window - 1 for window in windows) if all(windows) else case.tokens.shape[1]


def test_a_later_token_never_changes_an_earlier_logit_and_does_change_later_ones(case: Case) -> None:
    before = case.net(case.tokens)
    for place in (1, case.tokens.shape[1] // 2, case.tokens.shape[1] - 1):
        tokens = case.tokens.clone()
        tokens[:, place] = (tokens[:, place] + 1) % case.net.config.d_vocab
        after = case.net(tokens)
        assert torch.equal(after[:, :place], before[:, :place]), f"token {place} reached back"
        moved = (after[:, place:] - before[:, place:]).abs().amax((0, 2)) > 1e-6
        assert bool(moved[: reach(case)].all()), f"token {place} reached nothing"
        assert not bool(moved[reach(case) :].any()), f"token {place} reached beyond the windows of all layers"


def test_the_residual_stream_is_the_sum_of_its_writes(case: Case) -> None:
    cache, n_layers = everything(case), case.net.config.n_layers
    starts = [name for name in ("embed", "pos_embed") if name in case.net.site_names]
    writes = [cache[name] for name in starts]
    writes += [cache[name, layer] for layer in range(n_layers) for name in ("attn_out", "mlp_out")]
    final = cache["resid_post", n_layers - 1]
    assert_close(sum(writes), final, "the writes and the stream")
    for left_out in range(len(writes)):
        incomplete = sum(writes[:left_out] + writes[left_out + 1 :])
        assert float((incomplete - final).abs().max()) > 1e-2, f"write {left_out} adds nothing"


def test_each_block_adds_to_the_stream_what_its_two_sublayers_write(case: Case) -> None:
    cache, n_layers = everything(case), case.net.config.n_layers
    for layer in range(n_layers):
        middle = cache["resid_pre", layer] + cache["attn_out", layer]
        if "resid_mid" in case.net.site_names:
            assert_close(middle, cache["resid_mid", layer], f"L{layer}.resid_mid")
        assert_close(middle + cache["mlp_out", layer], cache["resid_post", layer], f"L{layer}.resid_post")
        if layer + 1 < n_layers:
            assert torch.equal(cache["resid_post", layer], cache["resid_pre", layer + 1])


def added(case: Case, layer: int, part: str, written: Tensor) -> Tensor:
    """Return what a sublayer that wrote this adds to the stream: the same, save where a norm of its own stands after it."""
    post = getattr(case.net.blocks[layer], f"{part}_post", None)
    return written if post is None else post(written, IDLE.at(), f"{part}_post_scale")


def test_what_the_heads_write_and_the_bias_sum_to_what_attention_writes(case: Case) -> None:
    cache = everything(case)
    for layer, block in enumerate(case.net.blocks):
        bias = block.attn.out.bias
        total = cache["result", layer].sum(2) + (0 if bias is None else bias)
        assert_close(added(case, layer, "ln1", total), cache["attn_out", layer], f"heads of L{layer}")
        without_one = added(case, layer, "ln1", total - cache["result", layer][:, :, -1])
        assert float((without_one - cache["attn_out", layer]).abs().max()) > 1e-3, (
            "the control: a head left out is noticed"
        )


def visible(case: Case, layer: int, width: int) -> Tensor:
    """Return which key each query sees: its own and those before it, as far back as the layer's window."""
    past = torch.ones(width, width, dtype=torch.bool).tril()
    window = case.net.config.window(layer)
    return past.triu(1 - window) if window else past


def test_the_pattern_is_a_causal_distribution_and_the_softmax_of_the_scores(case: Case) -> None:
    cache, width = everything(case), case.tokens.shape[1]
    for layer in range(case.net.config.n_layers):
        hidden = ~visible(case, layer, width)
        pattern, scores = cache["pattern", layer], cache["attn_scores", layer]
        assert_close(pattern.sum(-1), torch.ones(pattern.shape[:-1]), f"rows of L{layer}.pattern")
        assert bool((pattern[..., hidden] == 0).all())
        assert bool((pattern[..., ~hidden] > 0).all())
        assert bool((scores[..., hidden] == -torch.inf).all())
        assert_close(scores.softmax(-1), pattern, f"L{layer}.pattern")


def test_scores_are_scaled_products_of_the_queries_and_keys_that_meet(case: Case) -> None:
    cache, config = everything(case), case.net.config
    names = ("rot_q", "rot_k") if "rot_q" in case.net.site_names else ("q", "k")
    for layer in range(config.n_layers):
        q, k = (cache[name, layer].movedim(2, 1) for name in names)
        k = k.repeat_interleave(config.n_heads // config.kv_heads, 1)
        scores = q @ k.mT / getattr(config, "query_pre_attn_scalar", config.d_head) ** 0.5
        if cap := getattr(config, "attn_softcap", 0.0):
            scores = cap * (scores / cap).tanh()
        met = visible(case, layer, scores.shape[-1])
        assert_close(scores[..., met], cache["attn_scores", layer][..., met], f"L{layer}.attn_scores")


def test_pattern_times_values_times_output_matrix_is_what_the_heads_write(case: Case) -> None:
    cache, config = everything(case), case.net.config
    for layer in range(config.n_layers):
        v = cache["v", layer].movedim(2, 1).repeat_interleave(config.n_heads // config.kv_heads, 1)
        z = (cache["pattern", layer] @ v).movedim(1, 2)
        assert_close(z, cache["z", layer], f"L{layer}.z")
        assert_close(torch.einsum("bphd,hdm->bphm", z, case.net.W_O[layer]), cache["result", layer], f"L{layer}.result")
        uniform = torch.full_like(cache["pattern", layer], 1 / case.tokens.shape[1]) @ v
        assert float((uniform.movedim(1, 2) - cache["z", layer]).abs().max()) > 1e-2, (
            "the control: another pattern is noticed"
        )


def mlp_writes(case: Case, cache: ActivationCache, layer: int) -> Tensor:
    """Return what the MLP should write, from its weights by name: every expert on every token, times the router's weights."""
    net, mlp = case.net, case.net.blocks[layer].mlp
    if "mlp_post" in net.site_names:
        return cache["mlp_post", layer] @ net.W_out[layer] + (0 if mlp.down.bias is None else mlp.down.bias)
    with pytest.raises(ModelError, match="experts"):
        net.W_out  # noqa: B018 (asking for it is what must fail)
    normed = net.blocks[layer].ln2(cache["resid_mid", layer], IDLE.at(), "ln2_scale")
    written = torch.stack([expert(normed, IDLE.at()) for expert in mlp.experts], -1)
    return (written * cache["router_weights", layer].unsqueeze(2)).sum(-1)


def test_the_weights_by_name_make_what_the_sites_show(case: Case) -> None:
    net, cache = case.net, everything(case)
    assert torch.equal(net.W_E[case.tokens], cache["embed"])
    logits, cap = cache["resid_final"] @ net.W_U, getattr(net.config, "final_softcap", 0.0)
    assert_close(cap * (logits / cap).tanh() if cap else logits, cache["logits"], "logits")
    for layer in range(net.config.n_layers):
        written = added(case, layer, "ln2", mlp_writes(case, cache, layer))
        assert_close(written, cache["mlp_out", layer], f"L{layer}.mlp_out")
        # Queries differ between two tokens by W_Q times the difference of the normed stream, so biases drop out.
        normed = net.blocks[layer].ln1(cache["resid_pre", layer], IDLE.at(), "ln1_scale")
        for name, weight in (("q", net.W_Q), ("k", net.W_K), ("v", net.W_V)):
            made = torch.einsum("bpm,hmd->bphd", normed, weight[layer])
            assert_close(made - made[:, :1], cache[name, layer] - cache[name, layer][:, :1], f"L{layer}.{name}")


def test_every_declared_site_is_reached_and_has_the_shape_that_the_table_says(case: Case) -> None:
    cache = everything(case)
    batch, width = case.tokens.shape
    sizes = case.net.config.sizes | {"batch": batch, "pos": width, "query": width, "key": width}
    for site in case.sites:
        assert tuple(cache[site].shape) == tuple(sizes[axis] for axis in site.kind.axes), str(site)
        finite = cache[site].isfinite()
        assert bool(finite.all()) or site.name == "attn_scores", str(site)
        assert float(cache[site][finite].abs().max()) > 0, f"{site} was never written"


def test_sites_that_an_architecture_lacks_are_refused_by_name(case: Case) -> None:
    missing = set(KINDS) - set(case.net.site_names)
    assert missing == set(case.net.missing_sites)
    for name in missing:
        text = str(Site(name, 0 if KINDS[name].per_layer else None))
        with pytest.raises(SiteError, match=f"no Site '{text}'"):
            case.model.sites(text)


def test_heads_and_neurons_by_address_are_slices_of_the_whole(case: Case) -> None:
    last = case.net.config.n_layers - 1
    for site in case.sites:
        axis = next((axis for axis in site.kind.axes if axis in ("n_heads", "n_kv_heads", "d_mlp")), None)
        if site.layer != last or axis is None:
            continue
        index = case.net.config.sizes[axis] - 1
        part = Site(site.name, last, neuron=index) if axis == "d_mlp" else Site(site.name, last, head=index)
        whole = capture(case.model, case.tokens, site)
        alone = capture(case.model, case.tokens, part)[part]
        assert torch.equal(alone, whole[site].select(site.kind.axes.index(axis), index)), str(part)
        assert torch.equal(whole[part], alone), "the cache cuts the same slice out of the whole"


def test_sizes_that_no_network_can_have_are_refused(case: Case) -> None:
    config = case.net.config
    for name in ("n_layers", "d_model", "n_heads", "d_vocab", "n_ctx"):
        with pytest.raises(ModelError, match=f"{name} = 0"):
            type(case.net)(replace(config, **{name: 0}))
    assert make_config(type(config), config.to_dict(), "this") == config == type(case.net)(config).config


def test_tied_embeddings_are_one_matrix_and_untied_ones_two(case: Case) -> None:
    is_tied = case.net.unembed_weight.data_ptr() == case.net.embed.weight.data_ptr()
    assert is_tied == case.net.config.tied_embeddings
    assert ("unembed.weight" in case.net.state_dict()) == (not is_tied)


def test_a_network_is_laid_out_without_memory_and_then_given_its_weights(case: Case) -> None:
    with torch.device("meta"):
        net = type(case.net)(case.net.config)
    assert all(weight.is_meta for weight in net.parameters())
    assert not any(buffer for buffer in net.buffers())
    net.load_state_dict(case.net.state_dict(), assign=True)
    assert torch.equal(net(case.tokens), case.net(case.tokens))


def test_weights_drawn_from_a_seed_are_the_same_again_and_differ_by_seed(case: Case) -> None:
    nets = [type(case.net)(case.net.config) for _ in range(3)]
    for net, seed in zip(nets, (5, 5, 6), strict=True):
        net.init_weights(seed)
    one, same, other = (net.state_dict() for net in nets)
    for name, weight in one.items():
        assert torch.equal(weight, same[name]), name
        is_constant = bool((weight == weight.flatten()[0]).all())
        assert is_constant or not torch.equal(weight, other[name]), name
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            nets[0](case.tokens)[:, :-1].flatten(0, 1), case.tokens[:, 1:].flatten()
        )
    assert abs(float(loss) - math.log(case.net.config.d_vocab)) < 0.5, "an untrained model knows nothing"


def test_bfloat16_runs_and_rounds_by_no_more_than_its_eight_bits_explain(case: Case) -> None:
    exact = case.net(case.tokens)
    rounded = case.fresh_net().to(torch.bfloat16)(case.tokens, Taps(edits=same_routes(case)))
    assert rounded.dtype is torch.bfloat16
    error = (rounded.float() - exact).norm() / exact.norm()
    assert 1e-4 < float(error) < 0.03, f"relative error {float(error):.4f}"
