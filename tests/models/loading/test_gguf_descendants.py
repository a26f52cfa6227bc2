"""GGUF of Llama's descendants and of Gemma: written as llama.cpp's converter does, they give transformers' logits."""

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from conformance.shapes import config_of
from conformance.tiny import their_net
from glassbook.core.errors import ModelError
from glassbook.files.gguf import open_gguf
from glassbook.files.gguf_writing import write_gguf
from glassbook.models.llama import LlamaConfig
from glassbook.models.loading.formats.gguf_llama import family_fields
from glassbook.models.loading.opening import open_model
from glassbook.models.rotary import Rotary, Scaling
from oracles.transformers_pairs import permute

TOKENS = torch.randint(0, 80, (2, 16), generator=torch.Generator().manual_seed(7))
NEAR = 1e-4
LLAMA_3, YARN = "Llama 3: angles slowed down, read beyond the first context", "YaRN"
FAMILIES = {
    "golden of Mistral": "llama",
    "golden of Qwen2": "qwen2",
    "golden of Qwen3": "qwen3",
    LLAMA_3: "llama",
    YARN: "llama",
    "golden": "gemma2",
    "golden of Gemma 3": "gemma3",
}


def shape(label: str) -> tuple[str, Any]:
    architecture = "gemma" if FAMILIES[label].startswith("gemma") else "llama"
    return architecture, config_of(architecture, label)


def metadata(label: str) -> dict[str, object]:
    name, (_, c) = FAMILIES[label], shape(label)
    said: dict[str, object] = {
        "block_count": c.n_layers,
        "embedding_length": c.d_model,
        "attention.head_count": c.n_heads,
        "attention.head_count_kv": c.n_kv_heads,
        "attention.key_length": c.d_head,
        "attention.value_length": c.d_head,
        "feed_forward_length": c.d_mlp,
        "context_length": c.n_ctx,
        "attention.layer_norm_rms_epsilon": c.norm_eps,
        "rope.freq_base": c.rope_base,
    }
    if c.windows:
        said["attention.sliding_window"] = max(c.windows)
    if name == "gemma2":
        said |= {"attn_logit_softcapping": c.attn_softcap, "final_logit_softcapping": c.final_softcap}
    if name == "gemma3":
        said |= {"rope.freq_base_swa": c.local_rope_base, "attention.sliding_window_pattern": 2}
        said |= {"rope.scaling.type": "linear", "rope.scaling.factor": c.rope_scaling.factor}
    if label == YARN:
        rule = c.rope_scaling
        said |= {"rope.scaling.type": "yarn", "rope.scaling.factor": rule.factor}
        said |= {"rope.scaling.original_context_length": rule.n_ctx, "rope.scaling.yarn_beta_slow": rule.low_turns}
        said |= {"rope.scaling.yarn_beta_fast": rule.high_turns}
        # llama.cpp multiplies by the paper's magnitude itself, so its files hold what is to be had beyond that.
        said |= {"rope.scaling.attn_factor": rule.magnitude / (1 + 0.1 * math.log(rule.factor))}
    return {"general.architecture": name} | {f"{name}.{key}": value for key, value in said.items()}


def tensors(label: str) -> dict[str, np.ndarray]:
    """Return the weights under the names of the gguf package's table, arranged as the converter does."""
    name, (architecture, c) = FAMILIES[label], shape(label)
    kind = next(arch for arch, text in gguf.MODEL_ARCH_NAMES.items() if text == name)
    names = gguf.get_tensor_name_map(kind, c.n_layers)
    found = {}
    for theirs, weight in their_net(architecture, label).state_dict().items():
        ours, array = names.get_name(theirs, try_suffixes=(".weight", ".bias")), weight.numpy()
        if c.tied_embeddings and theirs == "lm_head.weight":
            continue
        if name == "llama" and ("q_proj" in theirs or "k_proj" in theirs):
            array = permute(array, c.n_heads if "q_proj" in theirs else c.n_kv_heads)
        if name.startswith("gemma") and theirs.endswith("norm.weight"):
            array = array + np.float32(1)
        found[ours] = array
    if label == LLAMA_3:
        plain, slowed = (
            Rotary(c.d_head, c.rope_base, rule).frequencies(torch.device("cpu")) for rule in (None, c.rope_scaling)
        )
        found["rope_freqs.weight"] = (plain / slowed).numpy()
    return found


def written(path: Path, label: str, **changes: object) -> Path:
    said = {key: value for key, value in (metadata(label) | changes).items() if value is not None}
    write_gguf(
        path, said, [(name, "F32", one.shape, np.ascontiguousarray(one)) for name, one in tensors(label).items()]
    )
    return path


@pytest.mark.parametrize("label", FAMILIES)
def test_a_file_gives_the_logits_of_transformers(label: str, tmp_path: Path) -> None:
    architecture, config = shape(label)
    model = open_model(written(tmp_path / "model.gguf", label))
    theirs = their_net(architecture, label)
    if architecture == "gemma":
        # llama.cpp's files do not say what scores are scaled by; all sizes but one go by the heads' width.
        assert model.config.query_pre_attn_scalar == config.d_head
        for block in model.net.blocks:
            block.attn.scale = config.query_pre_attn_scalar**-0.5
    assert float((model(TOKENS) - theirs(TOKENS).logits).abs().max()) <= NEAR
    assert model.config.windows == config.windows
    assert (model.config.qkv_bias, model.config.qk_norm) == (config.qkv_bias, config.qk_norm)


def test_a_window_that_a_file_does_not_state_is_not_in_force(tmp_path: Path) -> None:
    key = "llama.attention.sliding_window"
    model = open_model(written(tmp_path / "model.gguf", "golden of Mistral", **{key: None}))
    assert isinstance(model.config, LlamaConfig) and model.config.windows == ()
    theirs = their_net("llama", "golden of Mistral")(TOKENS).logits
    assert float((model(TOKENS) - theirs).abs().max()) > 1e-3


def test_which_layers_are_local_is_read_or_taken_as_llama_cpp_takes_it(tmp_path: Path) -> None:
    key = "gemma3.attention.sliding_window_pattern"
    path, label = tmp_path / "model.gguf", "golden of Gemma 3"
    assert open_model(written(path, label, **{key: None})).config.windows == (4, 4), "five local before a global one"
    assert open_model(written(path, label, **{key: [False, True]})).config.windows == (0, 4)
    with pytest.raises(ModelError, match="which layers have a window"):
        open_model(written(path, label, **{key: [True]}))
    assert open_model(written(path, "golden", **{"gemma2.attention.sliding_window": None})).config.windows == (4096, 0)


@pytest.mark.parametrize(("label", "largest"), [("golden", 46), ("golden of Gemma 3", 62)])
def test_the_largest_gemma_of_a_generation_scales_its_scores_by_the_width_of_the_stream(
    label: str, largest: int, tmp_path: Path
) -> None:
    sizes = {"d_model": 4608, "n_heads": 32, "d_head": 128, "n_ctx": 8192}
    with open_gguf(written(tmp_path / "model.gguf", label)) as file:
        for n_layers, scalar in ((26, 128), (largest, 144)):
            assert family_fields(sizes | {"n_layers": n_layers}, file, "it")["query_pre_attn_scalar"] == scalar


@pytest.mark.parametrize(
    ("label", "changes", "named"),
    [
        (YARN, {"llama.rope.scaling.type": "longrope"}, "rope.scaling.type = longrope"),
        (YARN, {"llama.rope.scaling.factor": "many"}, "rope.scaling.factor = many"),
        (YARN, {"llama.rope.scaling.yarn_log_multiplier": 0.1}, "yarn_log_multiplier"),
        (LLAMA_3, {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}, "twice"),
        ("golden of Qwen2", {"qwen2.expert_count": 8}, "expert_count"),
        ("golden of Qwen3", {"general.architecture": "qwen3moe"}, "'qwen3moe'.*gb.wrap"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(
    label: str, changes: dict[str, object], named: str, tmp_path: Path
) -> None:
    open_model(written(tmp_path / "good.gguf", label))
    with pytest.raises(ModelError, match=named):
        open_model(written(tmp_path / "bad.gguf", label, **changes))


def test_a_factor_without_a_type_is_linear_and_the_type_none_switches_it_off(tmp_path: Path) -> None:
    path, label = tmp_path / "model.gguf", "golden of Mistral"
    factor = {"llama.rope.scaling.factor": 4.0}
    assert open_model(written(path, label, **factor)).config.rope_scaling == Scaling(kind="linear", factor=4.0)
    assert open_model(written(path, label, **factor, **{"llama.rope.scaling.type": "none"})).config.rope_scaling is None
