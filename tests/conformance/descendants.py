"""Shapes of Llama's descendants and of Gemma, and what transformers calls each: the family is told from our configuration."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma3TextConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)  # fmt: skip
from transformers import (
    LlamaConfig as TheirLlamaConfig,
)

from glassbook.models.gemma import GemmaConfig
from glassbook.models.llama import LlamaConfig
from glassbook.models.mixtral import MixtralConfig
from glassbook.models.rotary import Scaling

Weights = Mapping[str, Tensor]


def llama_sizes(c: LlamaConfig) -> dict[str, Any]:
    """Return what the configuration of every descendant in transformers says alike."""
    return dict(
        hidden_size=c.d_model, num_hidden_layers=c.n_layers, num_attention_heads=c.n_heads,
        num_key_value_heads=c.n_kv_heads, head_dim=c.d_head, intermediate_size=c.d_mlp,
        vocab_size=c.d_vocab, max_position_embeddings=c.n_ctx, rms_norm_eps=c.norm_eps,
        tie_word_embeddings=c.tied_embeddings, rope_parameters=rope(c.rope_base, c.rope_scaling),
    )  # fmt: skip


def rope(base: float, scaling: Scaling | None) -> dict[str, Any]:
    """Return what transformers calls a base and a rule."""
    if scaling is None:
        return {"rope_type": "default", "rope_theta": base}
    said = {"rope_type": scaling.kind, "rope_theta": base, "factor": scaling.factor}
    if scaling.n_ctx:
        said["original_max_position_embeddings"] = scaling.n_ctx
    if scaling.kind == "llama3":
        return said | {"low_freq_factor": scaling.low_turns, "high_freq_factor": scaling.high_turns}
    if scaling.kind == "yarn":
        ramp = {"beta_slow": scaling.low_turns, "beta_fast": scaling.high_turns}
        return said | ramp | {"attention_factor": scaling.magnitude}
    return said


def layer_types(c: LlamaConfig) -> dict[str, Any]:
    """Return what transformers calls our windows."""
    kinds = ["sliding_attention" if c.window(layer) else "full_attention" for layer in range(c.n_layers)]
    return {"layer_types": kinds, "sliding_window": max(c.windows, default=0) or None}


def llama_config(c: LlamaConfig) -> PretrainedConfig:
    """Return the configuration of the descendant that makes these choices."""
    if c.qk_norm:
        return Qwen3Config(**llama_sizes(c), **layer_types(c), use_sliding_window=bool(c.windows))
    if c.qkv_bias:
        return Qwen2Config(**llama_sizes(c), **layer_types(c), use_sliding_window=bool(c.windows))
    if c.windows:
        return MistralConfig(**llama_sizes(c), sliding_window=c.windows[0])
    return TheirLlamaConfig(**llama_sizes(c))


def llama_weights(theirs: Weights, c: LlamaConfig) -> dict[str, Tensor]:
    """Return the weights of any descendant under our names."""
    found = {"embed.weight": theirs["model.embed_tokens.weight"], "ln_final.weight": theirs["model.norm.weight"]}
    norms = {"ln1": "input_layernorm", "ln2": "post_attention_layernorm"}
    if isinstance(c, GemmaConfig):
        norms = {
            "ln1": "input_layernorm",
            "ln1_post": "post_attention_layernorm",
            "ln2": "pre_feedforward_layernorm",
            "ln2_post": "post_feedforward_layernorm",
        }
    parts = {f"{ours}.weight": [f"{name}.weight"] for ours, name in norms.items()}
    heads = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    parts |= {"attn.qkv.weight": [f"{name}.weight" for name in heads], "attn.out.weight": ["self_attn.o_proj.weight"]}
    if c.qkv_bias:
        parts["attn.qkv.bias"] = [f"{name}.bias" for name in heads]
    if c.qk_norm:
        parts |= {f"attn.{name}.weight": [f"self_attn.{name}.weight"] for name in ("q_norm", "k_norm")}
    if not isinstance(c, MixtralConfig):
        parts |= {"mlp.gate_up.weight": ["mlp.gate_proj.weight", "mlp.up_proj.weight"]}
        parts |= {"mlp.down.weight": ["mlp.down_proj.weight"]}
    for layer in range(c.n_layers):
        for ours, names in parts.items():
            found[f"blocks.{layer}.{ours}"] = torch.cat([theirs[f"model.layers.{layer}.{name}"] for name in names])
    return found if c.tied_embeddings else found | {"unembed.weight": theirs["lm_head.weight"]}


def gemma_config(c: GemmaConfig) -> PretrainedConfig:
    """Return the configuration of Gemma 3 where queries and keys are normed, else of Gemma 2."""
    more = layer_types(c) | {"query_pre_attn_scalar": int(c.query_pre_attn_scalar)}
    more["final_logit_softcapping"] = c.final_softcap or None
    if not c.qk_norm:
        return Gemma2Config(**llama_sizes(c), **more, attn_logit_softcapping=c.attn_softcap or None)
    bases = {
        "full_attention": rope(c.rope_base, c.rope_scaling),
        "sliding_attention": rope(c.rope_base if c.local_rope_base is None else c.local_rope_base, None),
    }
    return Gemma3TextConfig(**(llama_sizes(c) | more | {"rope_parameters": bases}))


SIZES = dict(n_layers=2, d_model=32, n_heads=4, d_head=8, d_mlp=48, d_vocab=80, n_ctx=64, norm_eps=1e-5, n_kv_heads=2)
GOLDEN = dict(SIZES, d_model=24, d_mlp=40, n_ctx=16, tied_embeddings=False)
LLAMA_SHAPES = {"golden of Qwen3": LlamaConfig(**GOLDEN, qk_norm=True)}
LLAMA_RELATIVES: dict[str, LlamaConfig] = {
    "golden of Mistral": LlamaConfig(**GOLDEN, windows=(4, 4)),
    "golden of Qwen2": LlamaConfig(**GOLDEN, qkv_bias=True),
    "Llama 3: angles slowed down, read beyond the first context": LlamaConfig(
        **SIZES, tied_embeddings=True, rope_base=100.0, rope_scaling=Scaling(kind="llama3", factor=4.0, n_ctx=16)
    ),
    "YaRN": LlamaConfig(
        **SIZES, tied_embeddings=True, rope_base=100.0,
        rope_scaling=Scaling(kind="yarn", factor=4.0, n_ctx=16, high_turns=2.0, low_turns=0.2, magnitude=1.1),
    ),
    "Qwen2: bias, a window in the second layer alone": LlamaConfig(
        **SIZES, tied_embeddings=True, qkv_bias=True, windows=(0, 5), rope_base=1e6
    ),
}  # fmt: skip
GEMMA_SHAPES: dict[str, GemmaConfig] = {
    "golden": GemmaConfig(
        **(GOLDEN | {"tied_embeddings": True}), windows=(4, 0), query_pre_attn_scalar=64.0, attn_softcap=2.0,
        final_softcap=5.0,
    ),
    "golden of Gemma 3": GemmaConfig(
        **(GOLDEN | {"tied_embeddings": True}), windows=(4, 0), query_pre_attn_scalar=64.0, qk_norm=True,
        rope_base=1000.0, local_rope_base=10.0, rope_scaling=Scaling(kind="linear", factor=8.0),
    ),
}  # fmt: skip
GEMMA_RELATIVES: dict[str, GemmaConfig] = {
    "Gemma 3: one global layer after two local ones": GemmaConfig(
        **(SIZES | {"n_layers": 3, "n_kv_heads": 1}), tied_embeddings=True, windows=(7, 7, 0), qk_norm=True,
        query_pre_attn_scalar=50.0, rope_base=1000.0, local_rope_base=100.0,
    ),
}  # fmt: skip
