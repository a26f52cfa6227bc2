"""GPT-NeoX and Mixtral from the files of others: the same logits under every table of names, and refusals by name."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MixtralConfig, MixtralForCausalLM

from glassbook.core.errors import ModelError
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.safetensors import open_safetensors
from glassbook.models.loading.opening import open_model
from glassbook.models.loading.own_folder import save_model
from oracles.transformers_pairs import LLAMA_NAMES, hf_name, logits_of, permute, saved, tolerance

TOKENS = torch.randint(61, (3, 30), generator=torch.Generator().manual_seed(1))
MIXTRAL_SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40,
    vocab_size=61, max_position_embeddings=64, num_local_experts=5, num_experts_per_tok=2,
)  # fmt: skip
NEOX_SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=61,
    max_position_embeddings=64,
)  # fmt: skip
NEOXES = {
    "like Pythia": {},
    "attention before MLP": {"use_parallel_residual": False, "hidden_act": "gelu_new"},
    "tied, half of each head, another base": {
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 99.0, "partial_rotary_factor": 0.5},
    },
    "like GPT-NeoX-20B": {"hidden_act": "gelu_fast"},
}
AS_SAVED = [{}, {"save_original_format": False}]


def neox(folder: Path, saving: dict[str, object] | None = None, **changes: object):
    return saved(GPTNeoXForCausalLM(GPTNeoXConfig(**NEOX_SIZES | changes)), 0, folder, saving or {})


def mixtral(folder: Path, saving: dict[str, object] | None = None, **changes: object):
    return saved(MixtralForCausalLM(MixtralConfig(**MIXTRAL_SIZES | changes)), 0, folder, saving or {})


def assert_same_logits(net, path: Path) -> None:
    with torch.inference_mode():
        ours = open_model(path)(TOKENS)
    theirs = logits_of(net, TOKENS)
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() <= tolerance(net, TOKENS, theirs)


def configure(folder: Path, **changes) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def names(folder: Path) -> set[str]:
    with open_safetensors(folder / "model.safetensors") as file:
        return set(file.tensors)


@pytest.mark.parametrize("changes", NEOXES.values(), ids=NEOXES)
def test_a_gpt_neox_folder_gives_the_logits_of_transformers(changes, tmp_path):
    assert_same_logits(*neox(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes", [{}, {"num_local_experts": 3, "num_experts_per_tok": 1, "tie_word_embeddings": True}]
)
def test_a_mixtral_folder_gives_the_logits_of_transformers(changes, tmp_path):
    assert_same_logits(*mixtral(tmp_path, **changes))


@pytest.mark.parametrize(
    "make, old, new",
    [
        (neox, "embed_out.weight", "lm_head.weight"),
        (mixtral, "model.layers.0.block_sparse_moe.experts.0.w1.weight", "model.layers.0.mlp.experts.gate_up_proj"),
    ],
)
def test_the_names_of_old_and_new_releases_mean_the_same_weights(make, old, new, tmp_path):
    folders = [make(tmp_path / str(i), saving)[1] for i, saving in enumerate(AS_SAVED)]
    assert old in names(folders[0]) and new not in names(folders[0])
    assert new in names(folders[1]) and old not in names(folders[1])
    one, other = (open_model(folder).identity for folder in folders)
    assert one.fingerprint == other.fingerprint


def test_rotation_is_read_in_the_spelling_of_older_releases(tmp_path):
    _, folder = neox(tmp_path)
    assert (open_model(folder).config.d_rotary, open_model(folder).config.rope_base) == (2, 10000.0)
    configure(folder, rope_parameters=None, rotary_pct=0.75, rotary_emb_base=77)
    assert (open_model(folder).config.d_rotary, open_model(folder).config.rope_base) == (6, 77.0)


@pytest.mark.parametrize("make", [neox, mixtral])
def test_our_own_folder_gives_the_same_bits_back(make, tmp_path):
    model = open_model(make(tmp_path / "theirs")[1])
    save_model(model, tmp_path / "ours")
    again = open_model(tmp_path / "ours")
    assert again.identity == model.identity
    assert again.config == model.config
    assert torch.equal(again(TOKENS), model(TOKENS))


@pytest.mark.parametrize(
    "make, changes, named",
    [
        (neox, {"hidden_act": "silu"}, "hidden_act = silu"),
        (neox, {"attention_bias": False}, "attention_bias"),
        (neox, {"rope_parameters": {"partial_rotary_factor": 0.4}}, "d_rotary = 3 dimensions"),
        (neox, {"rope_parameters": {"partial_rotary_factor": 0.1}}, "d_rotary = 0 dimensions"),
        (neox, {"rope_parameters": {"partial_rotary_factor": 1.5}}, "rotary_pct = 1.5"),
        (mixtral, {"num_experts_per_tok": 6}, "top_k = 6 of 5 experts"),
        (mixtral, {"num_experts_per_tok": 0}, "top_k = 0 of 5 experts"),
        (mixtral, {"num_local_experts": 0}, "n_experts = 0"),
        (mixtral, {"num_local_experts": None}, "does not say num_local_experts"),
        (mixtral, {"num_local_experts": 10**9}, "1,000,000,000 experts"),
        (mixtral, {"num_local_experts": 6}, r"lacks tensors .*experts\.5"),
        (mixtral, {"num_local_experts": 4}, r"unknown tensors .*experts\.4"),
        (mixtral, {"hidden_act": "gelu"}, "hidden_act = gelu"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(make, changes, named, tmp_path):
    _, folder = make(tmp_path)
    open_model(folder)
    with pytest.raises(ModelError, match=named):
        open_model(configure(folder, **changes))


def test_stacked_experts_of_another_number_are_refused_by_shape(tmp_path):
    _, folder = mixtral(tmp_path, {"save_original_format": False})
    open_model(folder)
    with pytest.raises(ModelError, match=r"\[5, .* asks for \[4, "):
        open_model(configure(folder, num_local_experts=4))


def neox_gguf(net, path: Path) -> Path:
    """Write a GPT-NeoX as llama.cpp's converter does: queries, keys and values one after another, not head by head."""
    c, state = net.config, {name.removeprefix("gpt_neox."): weight for name, weight in net.state_dict().items()}
    parts = {
        "input_layernorm": "attn_norm", "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
        "post_attention_layernorm": "ffn_norm", "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
    }  # fmt: skip
    tensors = {
        "token_embd.weight": state["embed_in.weight"],
        "output.weight": state["lm_head.weight"],
        "output_norm.weight": state["final_layer_norm.weight"],
        "output_norm.bias": state["final_layer_norm.bias"],
    }
    for layer in range(c.num_hidden_layers):
        for theirs, name in parts.items():
            for kind in ("weight", "bias"):
                weight = state[f"layers.{layer}.{theirs}.{kind}"]
                if name == "attn_qkv":
                    weight = weight.unflatten(0, (c.num_attention_heads, 3, -1)).transpose(0, 1).flatten(0, 2)
                tensors[f"blk.{layer}.{name}.{kind}"] = weight
    known = {gguf.TENSOR_NAMES[kind].format(bid=0) for kind in gguf.MODEL_TENSORS[gguf.MODEL_ARCH.GPTNEOX]}
    assert {name.rpartition(".")[0] for name in tensors if not name.startswith("blk.1")} <= known
    metadata = {
        "general.architecture": "gptneox",
        "gptneox.block_count": c.num_hidden_layers,
        "gptneox.embedding_length": c.hidden_size,
        "gptneox.attention.head_count": c.num_attention_heads,
        "gptneox.feed_forward_length": c.intermediate_size,
        "gptneox.context_length": c.max_position_embeddings,
        "gptneox.rope.dimension_count": 2,
        "gptneox.attention.layer_norm_epsilon": c.layer_norm_eps,
        "gptneox.use_parallel_residual": c.use_parallel_residual,
    }
    return write(path, metadata, tensors)


def write(path: Path, metadata: dict[str, object], tensors: dict[str, torch.Tensor]) -> Path:
    arrays = {name: np.ascontiguousarray(weight.detach().numpy()) for name, weight in tensors.items()}
    write_gguf(path, metadata, [(name, "F32", array.shape, array.view(np.uint8)) for name, array in arrays.items()])
    return path


@pytest.mark.parametrize("parallel", [True, False])
def test_a_gpt_neox_gguf_gives_the_bits_of_its_folder(parallel, tmp_path):
    net, folder = neox(tmp_path, use_parallel_residual=parallel, hidden_act="gelu_new")
    path = neox_gguf(net, tmp_path / "model.gguf")
    assert open_model(path).identity.fingerprint == open_model(folder).identity.fingerprint
    assert_same_logits(net, path)


def mixtral_gguf(net, path: Path, stacked: bool, **more: object) -> Path:
    """Write a Mixtral as llama.cpp's converter does: a Llama with experts."""
    c, state = net.config, net.state_dict()
    heads = {"attn_q": c.num_attention_heads, "attn_k": c.num_key_value_heads}
    tensors = {}
    for part in LLAMA_NAMES:
        inside = part in ("token_embd", "output_norm", "output")
        for name in [f"{part}.weight"] if inside else [f"blk.{i}.{part}.weight" for i in range(c.num_hidden_layers)]:
            if not part.startswith("ffn") or part == "ffn_norm":
                array = state[hf_name(name)]
                tensors[name] = torch.from_numpy(permute(array.numpy(), heads[part])) if part in heads else array
    for i in range(c.num_hidden_layers):
        experts = f"model.layers.{i}.mlp.experts"
        gate, up = state[f"{experts}.gate_up_proj"].chunk(2, 1)
        tensors[f"blk.{i}.ffn_gate_inp.weight"] = state[f"model.layers.{i}.mlp.gate.weight"]
        for part, weights in {"gate": gate, "up": up, "down": state[f"{experts}.down_proj"]}.items():
            each = {f"blk.{i}.ffn_{part}.{j}.weight": weight for j, weight in enumerate(weights)}
            tensors |= {f"blk.{i}.ffn_{part}_exps.weight": weights} if stacked else each
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": c.num_hidden_layers,
        "llama.embedding_length": c.hidden_size,
        "llama.attention.head_count": c.num_attention_heads,
        "llama.attention.head_count_kv": c.num_key_value_heads,
        "llama.feed_forward_length": c.intermediate_size,
        "llama.context_length": c.max_position_embeddings,
        "llama.attention.layer_norm_rms_epsilon": c.rms_norm_eps,
        "llama.rope.freq_base": c.rope_parameters["rope_theta"],
        "llama.expert_count": c.num_local_experts,
        "llama.expert_used_count": c.num_experts_per_tok,
        **more,
    }
    return write(path, metadata, tensors)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_mixtral_gguf_gives_the_bits_of_its_folder(stacked, tmp_path):
    net, folder = mixtral(tmp_path)
    path = mixtral_gguf(net, tmp_path / "model.gguf", stacked)
    assert open_model(path).identity.fingerprint == open_model(folder).identity.fingerprint
    assert_same_logits(net, path)


def test_a_gguf_whose_experts_are_not_as_many_as_it_says_is_refused(tmp_path):
    net, _ = mixtral(tmp_path)
    open_model(mixtral_gguf(net, tmp_path / "good.gguf", True))
    for said, named in ((4, r"asks for \[4, "), (0, "lacks tensors"), (10**9, "experts")):
        with pytest.raises(ModelError, match=named):
            open_model(mixtral_gguf(net, tmp_path / "bad.gguf", True, **{"llama.expert_count": said}))


@pytest.mark.parametrize("target", ["w2.weight", "gate.weight"])
def test_a_weight_of_one_expert_that_is_no_number_is_named(target, tmp_path):
    net, folder = mixtral(tmp_path)
    open_model(folder)
    with torch.no_grad():
        (net.model.layers[1].mlp.gate.weight if "gate" in target else net.model.layers[1].mlp.experts.down_proj)[
            -1, -1
        ] = torch.nan
    net.save_pretrained(folder)
    with pytest.raises(ModelError, match=rf"{target}' holds NaN"):
        open_model(folder)
