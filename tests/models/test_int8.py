"""Weights held in int8: the same model within a stated loss, whose every matrix is what its integers stand for."""

import copy
import gzip
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glassbook as gb
from conformance.tiny import GPT2, LLAMA, as_model, tiny_model
from glassbook.core.errors import InputError
from glassbook.models import int8
from glassbook.models.int8 import Int8Linear, dequantize, hold_in_int8, int8_linear, quantize
from glassbook.models.loading.own_folder import save_model
from glassbook.models.model import Model
from glassbook.models.scoring import perplexity
from glassbook.models.transformer import Transformer
from glassbook.steering import mean_difference

HEAD = Path(__file__).parents[1] / "golden" / "wikitext2_valid_head.txt.gz"
architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
widths = st.integers(1, 70) | st.sampled_from([64, 128])
sizes = st.tuples(widths, widths)


def in_int8(net: Transformer) -> tuple[Transformer, Transformer]:
    """Return a network held in int8, and one in float32 with the weights that its integers stand for."""
    held, plain = copy.deepcopy(net), copy.deepcopy(net)
    hold_in_int8(held)
    for name, part in held.named_modules():
        if hasattr(part, "integers"):
            plain.get_submodule(name).weight.copy_(part.weight)
    return held, plain


@given(sizes, st.integers(0, 99), st.floats(1e-6, 1e4))
def test_a_weight_is_kept_to_half_a_step_of_its_row(size: tuple[int, int], seed: int, spread: float) -> None:
    weight = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * spread
    weight[0] = 0
    integers, scales = quantize(weight)
    back = dequantize(integers, scales)
    assert ((back - weight).abs() <= scales.unsqueeze(1) * 0.5001).all()
    assert (back[0] == 0).all() and scales[0] == 0
    assert (integers[1:].abs().amax(1) == 127).all(), "the largest of a row fills the range"


@given(sizes, st.integers(0, 40), st.integers(0, 99))
def test_a_product_is_that_of_the_weight_the_integers_stand_for(size: tuple[int, int], rows: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    integers, scales = quantize(torch.randn(size, generator=draw))
    x, bias = torch.randn(2, rows, size[1], generator=draw), torch.randn(size[0], generator=draw)
    expected = torch.nn.functional.linear(x.double(), dequantize(integers, scales).double(), bias.double())
    got = int8_linear(x, integers, scales, bias)
    # Sums of this many products, in the worst case each rounded to bfloat16.
    room = (x.abs() @ dequantize(integers, scales).abs().T + bias.abs() + 1e-6) * 2**-7
    assert got.shape == expected.shape and ((got - expected).abs() <= room).all()
    wrong = int8_linear(x, integers, scales * 1.1, bias) if rows else None
    assert wrong is None or not ((wrong - expected).abs() <= room / 2**9).all(), "the control: scales that are wrong"


def test_gradients_pass_through_to_what_is_read() -> None:
    integers, scales = quantize(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
    x = torch.ones(3, 5, requires_grad=True)
    int8_linear(x, integers, scales).sum().backward()
    assert torch.allclose(x.grad, dequantize(integers, scales).sum(0).expand(3, 5))


@architectures
def test_a_network_held_in_int8_is_the_one_with_the_weights_its_integers_stand_for(architecture: str) -> None:
    held, plain = in_int8(tiny_model(architecture).transformer)
    ids = torch.arange(40).view(2, 20) + 50
    assert torch.allclose(held(ids), plain(ids), atol=2e-5)
    assert not torch.allclose(held(ids), tiny_model(architecture).transformer(ids), atol=2e-5), (
        "the control: rounding shows"
    )
    for name in ("W_E", "W_U", "W_Q", "W_K", "W_V", "W_O", "W_out"):
        assert torch.equal(getattr(held, name), getattr(plain, name)), name
    assert not any(weight.ndim == 2 and weight.dtype == torch.float32 for weight in held.blocks.parameters())


@architectures
def test_what_is_read_and_steered_in_int8_is_what_float32_would_show(architecture: str) -> None:
    held, plain = (
        as_model(net, tiny_model(architecture).tokenizer) for net in in_int8(tiny_model(architecture).transformer)
    )
    ids = [list(range(20, 40))]
    seen = [gb.capture(model, ids, ["L*.resid_post", "L1.pattern", "L0.result"]) for model in (held, plain)]
    for site, value in seen[0].items():
        assert torch.allclose(value, seen[1][site], atol=1e-4), site
    vector = mean_difference(held, ["good sea"], ["bad sun"], site="L0.resid_post")
    steered = [model(ids, steer=40 * vector) for model in (held, plain)]
    assert torch.allclose(*steered, atol=1e-4)
    assert not torch.allclose(steered[0], held(ids), atol=1e-2), "the control: steering acts"


def test_a_model_opened_in_int8_says_so_and_shares_the_lineage(tmp_path: Path) -> None:
    model = tiny_model(LLAMA)
    save_model(model, tmp_path / "model")
    exact, held = (gb.open_model(tmp_path / "model", dtype=dtype) for dtype in ("float32", "int8"))
    assert held.identity.lineage == exact.identity.lineage
    assert held.identity.fingerprint != exact.identity.fingerprint
    assert held.identity.dtype == "int8" and held.identity.label.endswith("held in int8")
    assert held.dtype is torch.float32, "what flows through it is float32"
    assert all(isinstance(part, Int8Linear) for part in (held.net.blocks[0].attn.qkv, held.net.blocks[1].mlp.down))
    assert gb.open_model(tmp_path / "model", dtype="int8").identity == held.identity
    expected = copy.deepcopy(exact.net)
    hold_in_int8(expected)
    assert all(torch.equal(one, other) for one, other in zip(expected.parameters(), held.net.parameters(), strict=True))
    with pytest.raises(InputError, match=r"int8 are not stored"):
        save_model(held, tmp_path / "again")
    with pytest.raises(InputError, match=r"'int4' is not a precision of weights; .* or int8"):
        gb.open_model(tmp_path / "model", dtype="int4")


@architectures
@settings(max_examples=5)
@given(st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=12), min_size=1, max_size=3))
def test_generation_in_int8_with_the_cache_writes_what_full_passes_write(
    architecture: str, rows: list[list[int]]
) -> None:
    net, _ = in_int8(tiny_model(architecture).transformer)
    model = as_model(net)
    for one in model.complete(rows, max_new_tokens=6):
        row = list(one.prompt_tokens)
        for token in one.tokens:
            scores = model([row])[0, -1]
            # Few rows are rounded to bfloat16, so a token may win that is as good as the best.
            assert scores[token] >= scores.max() - 0.05
            row.append(token)


@pytest.mark.slow
@pytest.mark.model
def test_int8_costs_less_than_a_hundredth_of_the_perplexity(
    default_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_model.tokenizer is not None
    tokens = default_model.tokenizer.encode(gzip.decompress(HEAD.read_bytes()).decode())[:512]
    exact = perplexity(default_model, tokens, window=512, n_tokens=512)

    def loss() -> float:
        held = copy.deepcopy(default_model.transformer)
        hold_in_int8(held)
        return perplexity(as_model(held), tokens, window=512, n_tokens=512) / exact - 1

    assert abs(loss()) < 0.01
    # The control: the same rule with 4 bits loses far more.
    monkeypatch.setattr(int8, "_LARGEST", 7)
    assert loss() > 0.05
