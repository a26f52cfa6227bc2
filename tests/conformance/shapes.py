"""The one table of the conformance suite: for each architecture its shapes, and what transformers calls the same.

A new architecture is one more row; every test of the suite then runs on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config as TheirGPT2Config
from transformers import GPTNeoXConfig as TheirGPTNeoXConfig
from transformers import MixtralConfig as TheirMixtralConfig
from transformers import PretrainedConfig

from conformance.descendants import (
    GEMMA_RELATIVES,
    GEMMA_SHAPES,
    LLAMA_RELATIVES,
    LLAMA_SHAPES,
    gemma_config,
    llama_config,
    llama_sizes,
    llama_weights,
)
from glassbook.models.config import Config
from glassbook.models.gpt2 import GPT2Config
from glassbook.models.gpt_neox import GPTNeoXConfig
from glassbook.models.llama import LlamaConfig
from glassbook.models.mixtral import MixtralConfig

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Row:
    """One architecture: the shapes to test, its configuration in transformers, its weights from theirs to ours.

    `relatives` are further shapes, of which `test_descendants.py` tests what they alone have, since the whole suite takes
    seconds for each shape.
    """

    shapes: Mapping[str, Any]
    their_config: Callable[[Any], PretrainedConfig]
    our_weights: Callable[[Weights, Any], dict[str, Tensor]]
    relatives: Mapping[str, Any] = field(default_factory=dict)


def _gpt2_config(c: GPT2Config) -> PretrainedConfig:
    return TheirGPT2Config(
        n_embd=c.d_model, n_layer=c.n_layers, n_head=c.n_heads, n_inner=c.d_mlp, vocab_size=c.d_vocab,
        n_positions=c.n_ctx,
        activation_function=c.act_fn, layer_norm_epsilon=c.norm_eps, tie_word_embeddings=c.tied_embeddings,
    )  # fmt: skip


def _gpt2_weights(theirs: Weights, c: GPT2Config) -> dict[str, Tensor]:
    found = {"embed.weight": theirs["transformer.wte.weight"], "pos_embed.weight": theirs["transformer.wpe.weight"]}
    found |= {f"ln_final.{part}": theirs[f"transformer.ln_f.{part}"] for part in ("weight", "bias")}
    maps = {"attn.qkv": "attn.c_attn", "attn.out": "attn.c_proj", "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
    norms = {"ln1": "ln_1", "ln2": "ln_2"}
    for layer in range(c.n_layers):
        for ours, name in (maps | norms).items():
            weight = theirs[f"transformer.h.{layer}.{name}.weight"]
            found[f"blocks.{layer}.{ours}.weight"] = weight.T if ours in maps else weight
            found[f"blocks.{layer}.{ours}.bias"] = theirs[f"transformer.h.{layer}.{name}.bias"]
    return found if c.tied_embeddings else found | {"unembed.weight": theirs["lm_head.weight"]}


def _gpt_neox_config(c: GPTNeoXConfig) -> PretrainedConfig:
    return TheirGPTNeoXConfig(
        hidden_size=c.d_model, num_hidden_layers=c.n_layers, num_attention_heads=c.n_heads, intermediate_size=c.d_mlp,
        vocab_size=c.d_vocab, max_position_embeddings=c.n_ctx, hidden_act=c.act_fn, layer_norm_eps=c.norm_eps,
        tie_word_embeddings=c.tied_embeddings, use_parallel_residual=c.parallel,
        rope_parameters={
            "rope_type": "default", "rope_theta": c.rope_base, "partial_rotary_factor": c.d_rotary / c.d_head,
        },
    )  # fmt: skip


def _gpt_neox_weights(theirs: Weights, c: GPTNeoXConfig) -> dict[str, Tensor]:
    found = {"embed.weight": theirs["gpt_neox.embed_in.weight"]}
    found |= {f"ln_final.{part}": theirs[f"gpt_neox.final_layer_norm.{part}"] for part in ("weight", "bias")}
    names = {
        "ln1": "input_layernorm",
        "attn.qkv": "attention.query_key_value",
        "attn.out": "attention.dense",
        "ln2": "post_attention_layernorm",
        "mlp.up": "mlp.dense_h_to_4h",
        "mlp.down": "mlp.dense_4h_to_h",
    }
    for layer in range(c.n_layers):
        for ours, name in names.items():
            for part in ("weight", "bias"):
                weight = theirs[f"gpt_neox.layers.{layer}.{name}.{part}"]
                if ours == "attn.qkv":
                    # Theirs lie head by head, the queries, keys and values of each together.
                    by_head = weight.unflatten(0, (c.n_heads, 3, c.d_head))
                    weight = torch.cat([by_head[:, i].flatten(0, 1) for i in range(3)])
                found[f"blocks.{layer}.{ours}.{part}"] = weight
    return found if c.tied_embeddings else found | {"unembed.weight": theirs["lm_head.weight"]}


def _mixtral_config(c: MixtralConfig) -> PretrainedConfig:
    return TheirMixtralConfig(**llama_sizes(c), num_local_experts=c.n_experts, num_experts_per_tok=c.top_k)


def _mixtral_weights(theirs: Weights, c: MixtralConfig) -> dict[str, Tensor]:
    found = llama_weights(theirs, c)
    for layer in range(c.n_layers):
        name = f"model.layers.{layer}.mlp"
        found[f"blocks.{layer}.mlp.router.weight"] = theirs[f"{name}.gate.weight"]
        for i in range(c.n_experts):
            ours = f"blocks.{layer}.mlp.experts.{i}"
            found[f"{ours}.gate_up.weight"] = theirs[f"{name}.experts.gate_up_proj"][i]
            found[f"{ours}.down.weight"] = theirs[f"{name}.experts.down_proj"][i]
    return found


# The shape called `golden` is the one whose values `oracles/make_site_golden.py` wrote down.
ROWS: dict[str, Row] = {
    "gpt2": Row(
        {
            "golden": GPT2Config(
                n_layers=2, d_model=24, n_heads=3, d_head=8, d_mlp=40, d_vocab=80, n_ctx=16, norm_eps=1e-5,
                tied_embeddings=True,
            ),
            "untied, exact gelu, three layers": GPT2Config(
                n_layers=3, d_model=64, n_heads=4, d_head=16, d_mlp=160, d_vocab=131, n_ctx=64, norm_eps=1e-6,
                tied_embeddings=False, act_fn="gelu",
            ),
            "one layer, one head": GPT2Config(
                n_layers=1, d_model=16, n_heads=1, d_head=16, d_mlp=16, d_vocab=50, n_ctx=32, norm_eps=1e-5,
                tied_embeddings=True,
            ),
        },
        _gpt2_config,
        _gpt2_weights,
    ),
    "llama": Row(
        {
            "golden": LlamaConfig(
                n_layers=2, d_model=24, n_heads=4, d_head=8, d_mlp=40, d_vocab=80, n_ctx=16, norm_eps=1e-5,
                tied_embeddings=False, n_kv_heads=2,
            ),
            "like SmolLM2: tied, three queries to a key": LlamaConfig(
                n_layers=2, d_model=72, n_heads=9, d_head=8, d_mlp=192, d_vocab=131, n_ctx=64, norm_eps=1e-5,
                tied_embeddings=True, n_kv_heads=3, rope_base=100000.0,
            ),
            "one layer, one key head, heads wider than the stream": LlamaConfig(
                n_layers=1, d_model=24, n_heads=3, d_head=12, d_mlp=33, d_vocab=50, n_ctx=32, norm_eps=1e-6,
                tied_embeddings=True, n_kv_heads=1,
            ),
            "every query its own key": LlamaConfig(
                n_layers=2, d_model=32, n_heads=4, d_head=8, d_mlp=64, d_vocab=80, n_ctx=64, norm_eps=1e-5,
                tied_embeddings=False, n_kv_heads=4,
            ),
        }
        | LLAMA_SHAPES,
        llama_config,
        llama_weights,
        LLAMA_RELATIVES,
    ),
    "gemma": Row(GEMMA_SHAPES, gemma_config, llama_weights, GEMMA_RELATIVES),
    "gpt_neox": Row(
        {
            "golden": GPTNeoXConfig(
                n_layers=2, d_model=24, n_heads=3, d_head=8, d_mlp=40, d_vocab=80, n_ctx=16, norm_eps=1e-5,
                tied_embeddings=False, d_rotary=2,
            ),
            "attention before MLP, tanh gelu, heads that turn as a whole": GPTNeoXConfig(
                n_layers=2, d_model=32, n_heads=4, d_head=8, d_mlp=64, d_vocab=80, n_ctx=64, norm_eps=1e-6,
                tied_embeddings=False, d_rotary=8, parallel=False, act_fn="gelu_new", rope_base=5000.0,
            ),
            "one layer, tied, six dimensions of sixteen turn": GPTNeoXConfig(
                n_layers=1, d_model=32, n_heads=2, d_head=16, d_mlp=48, d_vocab=50, n_ctx=32, norm_eps=1e-5,
                tied_embeddings=True, d_rotary=6,
            ),
        },
        _gpt_neox_config,
        _gpt_neox_weights,
    ),
    "mixtral": Row(
        {
            "golden": MixtralConfig(
                n_layers=2, d_model=24, n_heads=4, d_head=8, d_mlp=20, d_vocab=80, n_ctx=16, norm_eps=1e-5,
                tied_embeddings=False, n_kv_heads=2, n_experts=4, top_k=2,
            ),
            "three of eight experts, one layer, tied": MixtralConfig(
                n_layers=1, d_model=32, n_heads=4, d_head=8, d_mlp=24, d_vocab=80, n_ctx=64, norm_eps=1e-6,
                tied_embeddings=True, n_kv_heads=1, n_experts=8, top_k=3, rope_base=10000.0,
            ),
            "three of three experts": MixtralConfig(
                n_layers=1, d_model=32, n_heads=2, d_head=16, d_mlp=36, d_vocab=50, n_ctx=32, norm_eps=1e-5,
                tied_embeddings=False, n_kv_heads=2, n_experts=3, top_k=3,
            ),
        },
        _mixtral_config,
        _mixtral_weights,
    ),
}  # fmt: skip

# The golden files, and the shape whose values each holds.
GOLDENS = {architecture: (architecture, "golden") for architecture in ROWS} | {
    "mistral": ("llama", "golden of Mistral"),
    "qwen2": ("llama", "golden of Qwen2"),
    "qwen3": ("llama", "golden of Qwen3"),
    "gemma3": ("gemma", "golden of Gemma 3"),
}

CASES = [(architecture, label) for architecture, row in ROWS.items() for label in row.shapes]
RELATIVES = [(architecture, label) for architecture, row in ROWS.items() for label in row.relatives]


def config_of(architecture: str, label: str) -> Config:
    """Return one shape of the table."""
    return (ROWS[architecture].shapes | ROWS[architecture].relatives)[label]
