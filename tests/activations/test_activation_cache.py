"""What was captured, and the algebra of the residual stream."""

import pytest
import torch
from torch import Tensor

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.cache import ActivationCache
from glassbook.activations.capture import capture
from glassbook.core.errors import InputError, SiteError
from glassbook.core.sites import Site
from glassbook.models.model import Model

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
ROWS = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]
STREAM = [
    "L*.resid_pre",
    "L*.resid_mid",
    "L*.resid_post",
    "L*.attn_out",
    "L*.mlp_out",
    "embed",
    "L*.z",
    "ln_final_scale",
    "logits",
]


def stream(model: Model, **how: object) -> ActivationCache:
    """Return all that the algebra needs."""
    extra = ["pos_embed"] if "pos_embed" in model.site_names else []
    return capture(model, ROWS, [*STREAM, *extra], **how)


def close(one: Tensor, other: Tensor) -> bool:
    """Compare up to rounding of sums."""
    return torch.allclose(one, other, atol=1e-4)


def test_a_value_is_found_under_every_spelling_of_its_address() -> None:
    cache = stream(tiny_model())
    value = cache["L1.resid_post"]
    for key in ("blocks.1.hook_resid_post", ("resid_post", 1), Site("resid_post", 1)):
        assert cache[key] is value
        assert key in cache
    assert cache["hook_embed"] is cache["embed"]
    assert torch.equal(cache["L0.H2.z"], cache["L0.z"][:, :, 2])
    assert cache.get("L1.pattern") is None
    assert len(cache) == len(list(cache)) == len(cache.keys())
    assert repr(cache).startswith(f"<{len(cache)} Sites of 2 prompts: L0.resid_pre")


@pytest.mark.parametrize("key", ["L1.pattern", ("pattern", 1), "blocks.1.attn.hook_pattern", "L0.H1.pattern"])
def test_what_was_not_captured_is_refused_and_what_there_is_named(key: object) -> None:
    cache = stream(tiny_model())
    assert key not in cache
    with pytest.raises(SiteError, match=r"pattern' was not captured; this cache holds \d+ Sites: L0.resid_pre"):
        cache[key]


@pytest.mark.parametrize("key", ["nonsense", 7, None, ("resid_post",)])
def test_what_is_no_address_is_not_in_a_cache(key: object) -> None:
    assert key not in stream(tiny_model())


@architectures
def test_layers_are_stacked_lowest_first_and_without_a_copy(architecture: str) -> None:
    cache = stream(tiny_model(architecture))
    stack = cache.stack("resid_post")
    assert stack.shape == (3, 2, 6, 32)
    assert stack.untyped_storage().data_ptr() == cache["L0.resid_post"].untyped_storage().data_ptr()
    for layer in range(3):
        assert torch.equal(stack[layer], cache["resid_post", layer])
        assert stack[layer].data_ptr() == cache["resid_post", layer].data_ptr()
    backwards = capture(tiny_model(architecture), ROWS, ["L2.resid_post", "L0.resid_post"])
    assert torch.allclose(backwards.stack("resid_post"), stack[[0, 2]], atol=1e-5), (
        "lowest first, though asked for last"
    )
    with pytest.raises(SiteError, match=r"no layer of 'pattern' was captured; ask for 'L\*.pattern'"):
        cache.stack("pattern")


@architectures
def test_the_accumulated_stream_is_the_stream_at_every_layer(architecture: str) -> None:
    cache = stream(tiny_model(architecture))
    whole = cache.accumulated_resid()
    assert cache.accumulated_labels() == ["0_pre", "1_pre", "2_pre", "final_post"]
    assert torch.equal(whole, torch.stack([*cache.stack("resid_pre"), cache["L2.resid_post"]]))
    mids = cache.accumulated_resid(layer=2, incl_mid=True)
    labels = cache.accumulated_labels(layer=2, incl_mid=True)
    assert labels == ["0_pre", "0_mid", "1_pre", "1_mid", "2_pre"]
    names = {"pre": "resid_pre", "mid": "resid_mid"}
    for value, label in zip(mids, labels, strict=True):
        layer, _, kind = label.partition("_")
        assert torch.equal(value, cache[names[kind], int(layer)]), label


@architectures
def test_the_writes_sum_to_the_stream_at_every_layer(architecture: str) -> None:
    model = tiny_model(architecture)
    cache = stream(model)
    starts = [name for name in ("embed", "pos_embed") if name in model.site_names]
    for layer in range(4):
        parts, labels = cache.decompose_resid(layer), cache.decompose_labels(layer)
        assert labels == [*starts, *(f"{i}_{name}" for i in range(layer) for name in ("attn_out", "mlp_out"))]
        there = cache["resid_pre", layer] if layer < 3 else cache["resid_post", 2]
        assert close(parts.sum(0), there)
        assert not close(parts[:-1].sum(0), there), "the control: one write left out"
    assert torch.equal(cache.decompose_resid(), cache.decompose_resid(3))


@architectures
def test_the_heads_write_what_attention_writes_without_its_bias(architecture: str) -> None:
    model = tiny_model(architecture)
    cache = stream(model)
    heads, labels = cache.stack_head_results(), cache.head_labels()
    assert labels == [f"L{i}H{h}" for i in range(3) for h in range(4)]
    per_layer = heads.unflatten(0, (3, 4)).sum(1)
    for layer, block in enumerate(model.net.blocks):
        bias = 0 if block.attn.out.bias is None else block.attn.out.bias
        assert close(per_layer[layer] + bias, cache["attn_out", layer])
    read = capture(model, ROWS, "L*.result")
    assert torch.allclose(read.stack_head_results(), heads, atol=1e-5), "read or made of z, it is the same"
    assert torch.equal(cache.stack_head_results(layer=1), heads[:4])


@architectures
@pytest.mark.parametrize("positions", [None, -1, [1, 3]])
def test_attributions_sum_to_the_logit_up_to_the_final_norms_bias(architecture: str, positions: object) -> None:
    model = tiny_model(architecture)
    cache = stream(model, positions=positions)
    bias = getattr(model.net.ln_final, "bias", None)
    tokens = torch.tensor([40, 200])
    attributed = cache.logit_attrs(cache.decompose_resid(), tokens).sum(0)
    logits = cache["logits"][torch.arange(2), :, tokens]
    offset = 0 if bias is None else (model.net.W_U[:, tokens].T @ bias)[:, None]
    assert close(attributed + offset, logits)
    assert architecture == LLAMA or not close(attributed, logits), "the control: GPT-2's norm has a bias"
    one = cache.logit_attrs(cache.decompose_resid(), 40).sum(0)
    assert close(one[0], attributed[0])
    difference = cache.logit_attrs(cache.decompose_resid(), tokens, torch.tensor([7, 8])).sum(0)
    others = cache["logits"][torch.arange(2), :, torch.tensor([7, 8])]
    offset = 0 if bias is None else ((model.net.W_U[:, tokens] - model.net.W_U[:, [7, 8]]).T @ bias)[:, None]
    assert close(difference + offset, logits - others)
    assert not close(cache.logit_attrs(cache.decompose_resid()[1:], tokens).sum(0), attributed), "the control"


@architectures
def test_the_frozen_norm_of_the_whole_stream_is_the_final_norm(architecture: str) -> None:
    model = tiny_model(architecture)
    cache = capture(model, ROWS, ["L2.resid_post", "ln_final_scale", "resid_final"])
    bias = getattr(model.net.ln_final, "bias", None)
    normed = cache.apply_ln_to_stack(cache["L2.resid_post"][None])[0]
    assert close(normed + (0 if bias is None else bias), cache["resid_final"])


def test_a_cache_in_short_precision_can_still_be_taken_apart() -> None:
    model = tiny_model()
    cache, exact = stream(model).to(torch.bfloat16), stream(model)
    assert all(value.dtype is torch.bfloat16 for value in cache.values())
    assert torch.allclose(cache.stack_head_results().float(), exact.stack_head_results(), atol=0.1)
    attributed = cache.logit_attrs(cache.decompose_resid(), 40).float()
    assert torch.allclose(attributed, exact.logit_attrs(exact.decompose_resid(), 40), atol=0.2)


@pytest.mark.parametrize("layer", [-1, 4])
def test_a_layer_that_is_not_there_is_refused(layer: int) -> None:
    cache = stream(tiny_model())
    for ask in (cache.accumulated_resid, cache.decompose_resid, cache.stack_head_results, cache.decompose_labels):
        with pytest.raises(SiteError, match=f"layer {layer} is not in this model; give 0 to 3"):
            ask(layer)


def test_values_go_by_their_transformerlens_names() -> None:
    model = tiny_model()
    cache = capture(model, ROWS, ["L0.z", "L1.H2.z", "embed"])
    assert list(cache.renamed()) == ["blocks.0.attn.hook_z", "hook_embed"]
    assert cache.renamed()["hook_embed"] is cache["embed"]


def test_a_gradient_needs_a_graph() -> None:
    with pytest.raises(InputError, match="there is no gradient at embed"):
        stream(tiny_model()).grad("embed")
