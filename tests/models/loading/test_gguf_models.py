"""GGUF files: the same weights as the gguf package reads, bit for bit, and the same logits as transformers."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from glassbook.core.errors import ModelError
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.quants import LAYOUTS
from glassbook.models.loading.opening import open_model
from oracles.transformers_pairs import (
    LLAMA_NAMES,
    GPT2Shape,
    LlamaShape,
    hf_name,
    llama_of_gguf,
    logits_of,
    permute,
    random_gpt2,
    random_llama,
    tolerance,
)  # fmt: skip

KINDS = list(LAYOUTS)
SHAPE = LlamaShape(n_layers=1, d_model=256, n_heads=4, n_kv_heads=2, d_head=64, d_mlp=256, d_vocab=48)
GPT2_NAMES = {
    "wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "ln_1": "attn_norm", "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}  # fmt: skip


def llama_metadata(shape: LlamaShape, **more: object) -> dict[str, object]:
    return {
        "general.architecture": "llama",
        "general.name": "Random Llama",
        "llama.block_count": shape.n_layers,
        "llama.embedding_length": shape.d_model,
        "llama.attention.head_count": shape.n_heads,
        "llama.attention.head_count_kv": shape.n_kv_heads,
        "llama.attention.key_length": shape.d_head,
        "llama.attention.value_length": shape.d_head,
        "llama.rope.dimension_count": shape.d_head,
        "llama.feed_forward_length": shape.d_mlp,
        "llama.context_length": 64,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": shape.rope_base,
        **more,
    }


def llama_tensors(net, shape: LlamaShape) -> dict[str, np.ndarray]:
    """Return the weights under llama.cpp's names and in its order."""
    found = {}
    state = net.state_dict()
    for part in LLAMA_NAMES:
        inside = part in ("token_embd", "output_norm", "output")
        for name in [f"{part}.weight"] if inside else [f"blk.{i}.{part}.weight" for i in range(shape.n_layers)]:
            array = state[hf_name(name)].numpy()
            heads = {"attn_q": shape.n_heads, "attn_k": shape.n_kv_heads}.get(part)
            found[name] = permute(array, heads) if heads else array
    if shape.tied:
        del found["output.weight"]
    return found


def quantized(kind: str, array: np.ndarray) -> np.ndarray:
    """Return blocks of `kind`: the gguf package's own where it can make them, else random ones with small scales."""
    number = gguf.GGMLQuantizationType[kind]
    if not kind.endswith("_K"):
        return gguf.quantize(array, number)
    layout = LAYOUTS[kind]
    blocks = np.random.default_rng(0).integers(0, 256, (array.size // layout.weights, layout.nbytes), np.uint8)
    scale = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
    for start in {"Q6_K": (208,)}.get(kind, (0, 2)):
        blocks[:, start : start + 2] = scale
    return blocks


def write(path: Path, metadata: dict[str, object], tensors: dict[str, np.ndarray], kind: str = "F32") -> Path:
    entries = []
    for name, array in tensors.items():
        stored = kind if array.ndim == 2 else "F32"
        entries.append((name, stored, array.shape, np.ascontiguousarray(quantized(stored, array)).view(np.uint8)))
    write_gguf(path, metadata, entries)
    return path


@pytest.fixture
def llama(tmp_path):
    net, _ = random_llama(SHAPE, 0, tmp_path / "hf")
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_weight_is_what_the_gguf_package_reads(kind, llama, tmp_path):
    path = write(tmp_path / "model.gguf", llama_metadata(SHAPE), llama_tensors(llama, SHAPE), kind)
    expected = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    model = open_model(path)
    weights = {name: weight.numpy() for name, weight in model.net.named_parameters()}
    q, k, v = np.split(weights["blocks.0.attn.qkv.weight"], [256, 256 + 128])
    gate, up = np.split(weights["blocks.0.mlp.gate_up.weight"], 2)
    ours = {
        "token_embd.weight": weights["embed.weight"],
        "output.weight": weights["unembed.weight"],
        "blk.0.attn_q.weight": permute(q, 4),
        "blk.0.attn_k.weight": permute(k, 2),
        "blk.0.attn_v.weight": v,
        "blk.0.attn_output.weight": weights["blocks.0.attn.out.weight"],
        "blk.0.ffn_gate.weight": gate,
        "blk.0.ffn_up.weight": up,
        "blk.0.ffn_down.weight": weights["blocks.0.mlp.down.weight"],
    }
    for name, weight in ours.items():
        np.testing.assert_array_equal(weight.view(np.uint32), expected[name].view(np.uint32), err_msg=name)
    assert not np.array_equal(q, expected["blk.0.attn_q.weight"])
    assert model.identity.quantization == ("" if kind in ("F32", "F16", "BF16") else f"dequantized {kind}")
    assert model.identity.name == "Random Llama"


@pytest.mark.parametrize(
    "shape", [LlamaShape(), LlamaShape(d_model=30, n_heads=6, n_kv_heads=1, d_head=10, tied=True, rope_base=77.0)]
)
def test_a_llama_gives_the_logits_of_transformers_and_the_bits_of_its_folder(shape, tmp_path):
    net, folder = random_llama(shape, 3, tmp_path / "hf")
    path = write(tmp_path / "model.gguf", llama_metadata(shape), llama_tensors(net, shape))
    tokens = torch.randint(101, (2, 30), generator=torch.Generator().manual_seed(0))
    ours = open_model(path)
    assert (ours(tokens) - logits_of(net, tokens)).abs().max() <= tolerance(net, tokens)
    assert ours.identity.fingerprint == open_model(folder).identity.fingerprint


@pytest.mark.parametrize("tied", [True, False])
def test_a_gpt2_gives_the_bits_of_its_folder(tied, tmp_path):
    net, folder = random_gpt2(GPT2Shape(tied=tied), 3, tmp_path / "hf")
    tensors = {} if tied else {"output.weight": net.lm_head.weight.detach().numpy()}
    for name, weight in net.transformer.named_parameters():
        part, _, kind = name.rpartition(".")
        block = f"blk.{part.split('.')[1]}." if part.startswith("h.") else ""
        inner = part.split(".", 2)[2] if block else part
        is_conv1d = "c_" in inner and kind == "weight"
        tensors[f"{block}{GPT2_NAMES[inner]}.{kind}"] = (weight.T if is_conv1d else weight).detach().numpy()
    metadata = {
        "general.architecture": "gpt2",
        "gpt2.block_count": 2,
        "gpt2.embedding_length": 32,
        "gpt2.feed_forward_length": 128,
        "gpt2.attention.head_count": 4,
        "gpt2.context_length": 64,
        "gpt2.attention.layer_norm_epsilon": 1e-5,
    }
    known = {gguf.TENSOR_NAMES[kind].format(bid=0) for kind in gguf.MODEL_TENSORS[gguf.MODEL_ARCH.GPT2]}
    assert {name.rpartition(".")[0] for name in tensors if not name.startswith("blk.1")} <= known
    path = write(tmp_path / "model.gguf", metadata, tensors)
    assert open_model(path).identity.fingerprint == open_model(folder).identity.fingerprint
    tokens = torch.randint(101, (2, 30), generator=torch.Generator().manual_seed(0))
    assert (open_model(path)(tokens) - logits_of(net, tokens)).abs().max() <= tolerance(net, tokens)


def test_the_two_readers_of_gguf_agree_about_a_whole_model(llama, tmp_path):
    path = write(tmp_path / "model.gguf", llama_metadata(SHAPE), llama_tensors(llama, SHAPE), "Q4_1")
    net = llama_of_gguf(path)
    tokens = torch.randint(48, (2, 30), generator=torch.Generator().manual_seed(0))
    assert (open_model(path)(tokens) - logits_of(net, tokens)).abs().max() <= tolerance(net, tokens)


REFUSED = {
    "llama.rope.scaling.type": ("longrope", "none"),
    "llama.rope.scale_linear": (4.0, 1.0),
    "llama.attention.clamp_kqv": (8.0, 0.0),
    "llama.rope.dimension_count": (4, 8),
    "llama.attention.value_length": (4, 8),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_our_llama_does_not_do_is_refused_by_name_and_its_twin_accepted(key, tmp_path):
    shape = LlamaShape(n_layers=1)
    net, _ = random_llama(shape, 0, tmp_path / "hf")
    refused, accepted = REFUSED[key]
    tensors = llama_tensors(net, shape)
    open_model(write(tmp_path / "good.gguf", llama_metadata(shape, **{key: accepted}), tensors))
    with pytest.raises(ModelError, match=key):
        open_model(write(tmp_path / "bad.gguf", llama_metadata(shape, **{key: refused}), tensors))


def test_tensors_that_our_llama_does_not_have_are_refused_by_name(tmp_path):
    shape = LlamaShape(n_layers=1)
    net, _ = random_llama(shape, 0, tmp_path / "hf")
    tensors = llama_tensors(net, shape)
    for name in ("rope_factors_long.weight", "blk.0.attn_q.bias"):
        with pytest.raises(ModelError, match=name):
            open_model(write(tmp_path / "bad.gguf", llama_metadata(shape), tensors | {name: np.ones(4, np.float32)}))
    open_model(write(tmp_path / "good.gguf", llama_metadata(shape), tensors))


def test_an_architecture_that_we_lack_is_named_with_ours(tmp_path):
    metadata = {"general.architecture": "rwkv6"}
    with pytest.raises(ModelError, match=r"'rwkv6'.*llama, qwen2.*gemma3, gpt2, gptneox.*gb\.wrap"):
        open_model(write(tmp_path / "bad.gguf", metadata, {"token_embd.weight": np.ones((2, 2), np.float32)}))


def test_a_scale_that_is_no_number_is_found_in_the_blocks(llama, tmp_path):
    tensors = llama_tensors(llama, SHAPE)
    path = write(tmp_path / "model.gguf", llama_metadata(SHAPE), tensors, "Q8_0")
    open_model(path)
    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == "blk.0.ffn_up.weight")
    data = bytearray(path.read_bytes())
    data[tensor.data_offset : tensor.data_offset + 2] = np.float16(np.nan).tobytes()
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"blk\.0\.ffn_up\.weight' holds NaN"):
        open_model(path)
