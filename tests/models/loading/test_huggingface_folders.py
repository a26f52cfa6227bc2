"""Folders as transformers writes them: the same logits, whatever the shape; and refusals by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from glassbook.core.errors import FileFormatError, ModelError
from glassbook.files.safetensors import STORED_AS, open_safetensors, write_safetensors
from glassbook.models.loading.opening import open_model
from oracles.transformers_pairs import GPT2Shape, LlamaShape, logits_of, random_gpt2, random_llama, tolerance

LLAMAS = {
    "grouped queries": LlamaShape(),
    "one key head": LlamaShape(n_kv_heads=1, tied=True, n_layers=1),
    "as many key heads": LlamaShape(n_kv_heads=4, rope_base=500.0),
    "heads wider than the stream": LlamaShape(d_model=30, n_heads=6, n_kv_heads=3, d_head=10, d_vocab=97, tied=True),
    "sizes that are odd": LlamaShape(d_model=27, n_heads=3, n_kv_heads=3, d_head=6, d_mlp=35, d_vocab=53, n_layers=3),
}
GPT2S = {
    "tied": GPT2Shape(),
    "untied": GPT2Shape(tied=False, d_vocab=67),
    "a narrow MLP of exact GELU": GPT2Shape(d_mlp=21, act_fn="gelu", n_heads=1),
    "ReLU": GPT2Shape(n_layers=3, n_heads=8, act_fn="relu"),
}


def some_tokens(d_vocab: int) -> torch.Tensor:
    return torch.randint(d_vocab, (3, 40), generator=torch.Generator().manual_seed(1))


def assert_same_logits(net, folder: Path) -> None:
    tokens = some_tokens(net.config.vocab_size)
    with torch.inference_mode():
        ours = open_model(folder)(tokens)
    theirs = logits_of(net, tokens)
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() <= tolerance(net, tokens)


@pytest.mark.parametrize("shape", LLAMAS.values(), ids=LLAMAS)
def test_a_llama_folder_gives_the_logits_of_transformers(shape, tmp_path):
    assert_same_logits(*random_llama(shape, 0, tmp_path))


@pytest.mark.parametrize("shape", GPT2S.values(), ids=GPT2S)
def test_a_gpt2_folder_gives_the_logits_of_transformers(shape, tmp_path):
    assert_same_logits(*random_gpt2(shape, 0, tmp_path))


def test_the_tolerance_tells_another_seed_apart(tmp_path):
    net, _ = random_llama(LlamaShape(), 0, tmp_path / "a")
    _, other = random_llama(LlamaShape(), 1, tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same_logits(net, other)


@pytest.mark.parametrize("make, shape", [(random_llama, LlamaShape()), (random_gpt2, GPT2Shape())])
def test_a_model_in_several_files_is_the_model_in_one(make, shape, tmp_path):
    _, one = make(shape, 0, tmp_path / "one")
    _, many = make(shape, 0, tmp_path / "many", max_shard_size="20KB")
    assert len(list(many.glob("*.safetensors"))) > 2
    assert open_model(one).identity.fingerprint == open_model(many).identity.fingerprint


def test_a_safetensors_file_beside_its_configuration_is_the_folder(tmp_path):
    _, folder = random_llama(LlamaShape(), 0, tmp_path)
    assert open_model(folder / "model.safetensors").identity == open_model(folder).identity


def rewrite(folder: Path, change) -> Path:
    """Write the folder's tensors anew, each as `change(name, array)` gives it: (name, array) pairs."""
    path = folder / "model.safetensors"
    with open_safetensors(path) as file:
        pairs = [pair for info in file.tensors.values() for pair in change(info.name, file.read(info))]
    kinds = {np.dtype(kind): name for name, kind in STORED_AS.items() if name in ("F32", "I64", "BOOL", "U8")}
    write_safetensors(path, [(name, kinds[array.dtype], array.shape, array) for name, array in pairs])
    return folder


def configure(folder: Path, **changes) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.mark.parametrize("make, prefix", [(random_llama, "model."), (random_gpt2, "transformer.")])
def test_names_without_their_prefix_mean_the_same(make, prefix, tmp_path):
    shape = LlamaShape(tied=True) if make is random_llama else GPT2Shape()
    _, folder = make(shape, 0, tmp_path)
    before = open_model(folder).identity.fingerprint
    rewrite(folder, lambda name, array: [(name.removeprefix(prefix), array)])
    assert open_model(folder).identity.fingerprint == before


def test_buffers_that_are_no_weights_are_passed_over(tmp_path):
    _, folder = random_gpt2(GPT2Shape(), 0, tmp_path / "gpt2")
    before = open_model(folder).identity.fingerprint
    mask = [
        ("transformer.h.0.attn.bias", np.ones((1, 1, 64, 64), np.uint8)),
        ("h.1.attn.masked_bias", np.ones((), np.float32)),
    ]
    rewrite(folder, lambda name, array: [(name, array), *(mask if name.endswith("wte.weight") else [])])
    assert open_model(folder).identity.fingerprint == before
    _, folder = random_llama(LlamaShape(), 0, tmp_path / "llama")
    angles = ("model.layers.0.self_attn.rotary_emb.inv_freq", np.ones(4, np.float32))
    rewrite(folder, lambda name, array: [(name, array), *([angles] if name == "lm_head.weight" else [])])
    open_model(folder)


def test_an_unembedding_beside_tied_weights_is_the_embedding_and_is_passed_over(tmp_path):
    net, folder = random_llama(LlamaShape(tied=True), 0, tmp_path)
    rewrite(folder, lambda name, array: [(name, array), *([("lm_head.weight", array)] if "embed" in name else [])])
    assert_same_logits(net, folder)


def test_rotary_bases_are_read_in_every_spelling(tmp_path):
    _, folder = random_llama(LlamaShape(rope_base=777.0), 0, tmp_path)
    assert open_model(folder).config.rope_base == 777.0
    configure(folder, rope_parameters=None, rope_theta=777.0)
    assert open_model(folder).config.rope_base == 777.0
    configure(folder, rope_theta=None, rope_scaling=None)
    assert open_model(folder).config.rope_base == 10000.0


REFUSED_LLAMAS = {
    "hidden_act": "gelu",
    "attention_bias": True,
    "mlp_bias": True,
    "sliding_window": 128,
    "partial_rotary_factor": 0.5,
    "quantization_config": {"quant_method": "gptq"},
    "rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "factor": 8.0},
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
}
ACCEPTED_LLAMAS = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "partial_rotary_factor": 1.0,
    "quantization_config": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    "rope_scaling": None,
}


@pytest.mark.parametrize("key", REFUSED_LLAMAS)
def test_what_our_llama_does_not_do_is_refused_by_name_and_its_twin_accepted(key, tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    configure(folder, rope_parameters=None, **{} if key == "rope_parameters" else {"rope_theta": 1e4})
    open_model(configure(folder, **{key: ACCEPTED_LLAMAS[key]}))
    named = "rotary angles" if key.startswith("rope_") else key
    with pytest.raises(ModelError, match=named):
        open_model(configure(folder, **{key: REFUSED_LLAMAS[key]}))


@pytest.mark.parametrize(
    "key, wrong",
    {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True, "activation_function": "silu"}.items(),
)
def test_what_our_gpt2_does_not_do_is_refused_by_name(key, wrong, tmp_path):
    _, folder = random_gpt2(GPT2Shape(n_layers=1), 0, tmp_path)
    open_model(folder)
    with pytest.raises(ModelError, match=key):
        open_model(configure(folder, **{key: wrong}))


def test_an_architecture_that_we_lack_is_named_with_ours(tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    with pytest.raises(ModelError, match=r"'mamba'.*llama, mistral.*gemma3_text, gpt2.*gpt_neox.*mixtral.*gb\.wrap"):
        open_model(configure(folder, model_type="mamba"))


@pytest.mark.parametrize(
    "changes", [{"hidden_size": None}, {"hidden_size": "32"}, {"num_hidden_layers": 10**9}, {"vocab_size": 2**61}]
)
def test_a_configuration_that_cannot_be_is_refused(changes, tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    with pytest.raises(ModelError, match=r"config\.json|model\.safetensors"):
        open_model(configure(folder, **changes))


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path):
    _, folder = random_llama(LlamaShape(), 0, tmp_path)
    original = (folder / "model.safetensors").read_bytes()
    changes = {
        r"lacks tensors .*0\.self_attn\.q_proj.*1\.self_attn\.q_proj": lambda n, a: [] if "q_proj" in n else [(n, a)],
        r"unknown tensor 'model\.extra'": lambda n, a: [(n, a), ("model.extra", a)] if "embed" in n else [(n, a)],
        r"'model\.norm\.weight' has the shape \[31\] .* \[32\]": lambda n, a: [
            (n, a[:31] if n == "model.norm.weight" else a)
        ],
        r"one weight twice": lambda n, a: [(n, a), ("norm.weight", a)] if n == "model.norm.weight" else [(n, a)],
        r"stored as I64": lambda n, a: [(n, a.astype(np.int64) if n == "model.norm.weight" else a)],
    }
    for named, change in changes.items():
        (folder / "model.safetensors").write_bytes(original)
        open_model(folder)
        with pytest.raises(ModelError, match=named):
            open_model(rewrite(folder, change))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_named(bad, tmp_path):
    _, folder = random_llama(LlamaShape(), 0, tmp_path)
    target = "model.layers.1.mlp.up_proj.weight"

    def spoil(name, array):
        array = array.copy()
        if name == target:
            array[-1, -1] = bad
        return [(name, array)]

    open_model(folder)
    rewrite(folder, spoil)
    for dtype in ("float32", "bfloat16", "float16"):
        with pytest.raises(ModelError, match=f"{target}' holds NaN"):
            open_model(folder, dtype)


def test_a_number_beyond_the_precision_asked_for_is_no_damage(tmp_path):
    _, folder = random_llama(LlamaShape(), 0, tmp_path)
    rewrite(folder, lambda name, array: [(name, array * np.float32(1e6) if name == "lm_head.weight" else array)])
    open_model(folder, "bfloat16")
    with pytest.raises(ModelError, match="beyond float16; open it in float32"):
        open_model(folder, "float16")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_pickles_are_refused_by_name_with_the_next_step(name, tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    open_model(folder)
    (folder / "model.safetensors").rename(folder / name)
    for given in (folder, folder / name):
        with pytest.raises(ModelError, match=f"{name}' is a pickle.*safetensors"):
            open_model(given)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", 3, "model.bin"])
def test_an_index_cannot_point_outside_its_folder(shard, tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path / "inside")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": shard}}))
    with pytest.raises(FileFormatError, match="index"):
        open_model(folder)


def test_a_missing_shard_is_named(tmp_path):
    _, folder = random_llama(LlamaShape(), 0, tmp_path, max_shard_size="20KB")
    open_model(folder)
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.rename(folder / "elsewhere")
    with pytest.raises(ModelError, match=f"lacks '{shard.name}'"):
        open_model(folder)
