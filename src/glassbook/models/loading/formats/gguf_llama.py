"""GGUF of Llama, its descendants and Gemma: names and keys as llama.cpp's converters write them.

Queries and keys of the architecture `llama` lie in rotary pairs, those of the others as they are. Gemma's norms have been
given the one that they add. Which layers of Gemma are local is no part of most files: then llama.cpp's own rule holds.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from math import log
from typing import Any

import numpy as np
import torch

from glassbook.core.errors import ModelError
from glassbook.files.gguf import GGUFFile
from glassbook.models.loading.dialect import Dialect, Rule
from glassbook.models.rotary import Scaling

LLAMA = Dialect(
    architecture="llama",
    keys={
        "llama.block_count": "n_layers",
        "llama.embedding_length": "d_model",
        "llama.attention.head_count": "n_heads",
        "llama.attention.head_count_kv": "n_kv_heads",
        "llama.attention.key_length": "d_head",
        "llama.feed_forward_length": "d_mlp",
        "llama.context_length": "n_ctx",
        "llama.attention.layer_norm_rms_epsilon": "norm_eps",
        "llama.rope.freq_base": "rope_base",
    },
    defaults={"n_kv_heads": None, "d_head": None, "rope_base": 10000.0},
    demands={
        "llama.rope.scaling.type": ("none", "linear", "yarn"),
        "llama.rope.scaling.yarn_ext_factor": (1.0,),
        "llama.rope.scaling.yarn_attn_factor": (1.0,),
        "llama.rope.scaling.yarn_log_multiplier": (0.0,),
        "llama.rope.scale_linear": (1.0,),
        "llama.expert_count": (0,),
        "llama.attention.clamp_kqv": (0.0,),
        "llama.attention.causal": (True,),
        "llama.logit_scale": (1.0,),
        "llama.embedding_scale": (1.0,),
        "llama.residual_scale": (1.0,),
        "llama.attention.scale": (0.0,),
        "llama.use_parallel_residual": (False,),
    },
    rules=(
        Rule("token_embd.weight", "embed.weight"),
        Rule("blk.{layer}.attn_norm.weight", "blocks.{layer}.ln1.weight"),
        Rule("blk.{layer}.attn_q.weight", "blocks.{layer}.attn.qkv.weight", "q", "rotary pairs"),
        Rule("blk.{layer}.attn_k.weight", "blocks.{layer}.attn.qkv.weight", "k", "rotary pairs"),
        Rule("blk.{layer}.attn_v.weight", "blocks.{layer}.attn.qkv.weight", "v"),
        Rule("blk.{layer}.attn_output.weight", "blocks.{layer}.attn.out.weight"),
        Rule("blk.{layer}.ffn_norm.weight", "blocks.{layer}.ln2.weight"),
        Rule("blk.{layer}.ffn_gate.weight", "blocks.{layer}.mlp.gate_up.weight", "gate"),
        Rule("blk.{layer}.ffn_up.weight", "blocks.{layer}.mlp.gate_up.weight", "up"),
        Rule("blk.{layer}.ffn_down.weight", "blocks.{layer}.mlp.down.weight"),
        Rule("output_norm.weight", "ln_final.weight"),
        Rule("output.weight", "unembed.weight"),
    ),
    # Divisors of the angles, which are read into the configuration.
    ignored=(r"rope_freqs\.weight",),
)


def _descendant(name: str, *more: Rule, **defaults: object) -> Dialect:
    """Return the dialect of an architecture whose keys are Llama's under its own name, and whose rows lie as they are."""

    def renamed(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key.replace("llama.", f"{name}.", 1): value for key, value in table.items()}

    return replace(
        LLAMA,
        keys=renamed(LLAMA.keys),
        defaults={**LLAMA.defaults, **defaults},
        demands=renamed(LLAMA.demands),
        rules=(*(replace(rule, stored="as is") for rule in LLAMA.rules), *more),
    )


_BIASES = tuple(Rule(f"blk.{{layer}}.attn_{part}.bias", "blocks.{layer}.attn.qkv.bias", part) for part in "qkv")
_QK_NORMS = tuple(
    Rule(f"blk.{{layer}}.attn_{part}_norm.weight", f"blocks.{{layer}}.attn.{part}_norm.weight") for part in "qk"
)
_POST_NORMS = (
    Rule("blk.{layer}.post_attention_norm.weight", "blocks.{layer}.ln1_post.weight"),
    Rule("blk.{layer}.post_ffw_norm.weight", "blocks.{layer}.ln2_post.weight"),
)


def _gemma(name: str, *more: Rule, **defaults: object) -> Dialect:
    plain = _descendant(name, *_POST_NORMS, *more, **defaults)
    is_norm = {rule.ours for rule in plain.rules if rule.theirs.endswith("_norm.weight")}
    rules = (replace(rule, stored="one more") if rule.ours in is_norm else rule for rule in plain.rules)
    return replace(plain, architecture="gemma", rules=tuple(rules))


GEMMA2 = _gemma("gemma2")
GEMMA3 = _gemma("gemma3", *_QK_NORMS, qk_norm=True, rope_base=1000000.0)
LLAMAS = {
    "llama": LLAMA,
    "qwen2": _descendant("qwen2", *_BIASES, qkv_bias=True),
    "qwen3": _descendant("qwen3", *_QK_NORMS, qk_norm=True),
    "gemma2": GEMMA2,
    "gemma3": GEMMA3,
}
# The number of layers by which llama.cpp knows the one size of each generation that scales its scores by another width.
_WIDE_SCORES = {"gemma2": 46, "gemma3": 62}
_LOCAL_PERIOD = {"gemma2": 2, "gemma3": 6}


def family_fields(fields: Mapping[str, Any], file: GGUFFile, place: str) -> dict[str, Any]:
    """Return the fields that are worked out of several keys: angles, windows, caps; `fields` are those read so far."""
    name = str(file.metadata["general.architecture"])
    said = {key.removeprefix(f"{name}."): value for key, value in file.metadata.items()}
    found: dict[str, Any] = {
        "rope_scaling": _scaling(said, fields["n_ctx"], file, place),
        "windows": _windows(name, said, fields["n_layers"], place),
    }
    if name not in _LOCAL_PERIOD:
        return found
    is_wide = fields["n_layers"] == _WIDE_SCORES[name]
    found["query_pre_attn_scalar"] = fields["d_model"] / fields["n_heads"] if is_wide else fields["d_head"]
    found["final_softcap"] = said.get("final_logit_softcapping", 30.0 if name == "gemma2" else 0.0)
    if name == "gemma2":
        found["attn_softcap"] = said.get("attn_logit_softcapping", 50.0)
    else:
        found["local_rope_base"] = said.get("rope.freq_base_swa", 10000.0)
    return found


def _scaling(said: Mapping[str, Any], n_ctx: Any, file: GGUFFile, place: str) -> dict[str, Any] | None:
    # A factor without a type means linear scaling, and the type "none" switches any factor off.
    kind = said.get("rope.scaling.type", "linear")
    factor = _number(said, "rope.scaling.factor", 1.0, place)
    is_plain = kind == "none" or (kind == "linear" and factor == 1.0)
    if "rope_freqs.weight" in file.tensors:
        if not is_plain:
            raise ModelError(
                f"{place} scales its rotary angles twice, by {kind} and rope_freqs.weight; fetch another file"
            )
        return asdict(Scaling(kind="divisors", divisors=_divisors(file)))
    if is_plain:
        return None
    if kind == "linear":
        return asdict(Scaling(kind="linear", factor=factor))
    stretch = 1.0 + 0.1 * log(factor) if factor > 1 else 1.0
    return asdict(
        Scaling(
            kind="yarn",
            factor=factor,
            n_ctx=said.get("rope.scaling.original_context_length", n_ctx),
            low_turns=_number(said, "rope.scaling.yarn_beta_slow", 1.0, place),
            high_turns=_number(said, "rope.scaling.yarn_beta_fast", 32.0, place),
            magnitude=_number(said, "rope.scaling.attn_factor", 1.0, place) * stretch,
        )
    )


def _number(said: Mapping[str, Any], key: str, default: float, place: str) -> float:
    value = said.get(key, default)
    if type(value) not in (int, float):
        raise ModelError(f"{place} says {key} = {str(value)[:60]}, which is no number; fetch the file again")
    return float(value)


def _divisors(file: GGUFFile) -> tuple[float, ...]:
    tensor = file.tensors["rope_freqs.weight"]
    out = torch.empty(tensor.shape, dtype=torch.float32)
    file.dequantize(tensor, out.numpy(), 0, tensor.n_rows)
    return tuple(out.flatten().tolist())


def _windows(name: str, said: Mapping[str, Any], n_layers: Any, place: str) -> tuple[Any, ...]:
    window = said.get("attention.sliding_window", 4096 if name == "gemma2" else 0)
    if not window or type(n_layers) is not int:
        return ()
    pattern = said.get("attention.sliding_window_pattern", _LOCAL_PERIOD.get(name, 0))
    if type(pattern) is int:
        pattern = np.array([pattern == 0 or layer % pattern < pattern - 1 for layer in range(n_layers)])
    if not isinstance(pattern, np.ndarray) or len(pattern) != n_layers:
        raise ModelError(f"{place} says which layers have a window by {str(pattern)[:60]}; fetch the file again")
    return tuple(window if is_local else 0 for is_local in pattern)
