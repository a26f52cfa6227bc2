"""Write `tests/golden/sites_<architecture>.json`: values and gradients at every Site of tiny models.

They come from TransformerLens.

Needs transformer_lens 4 with transformers, in an environment of its own, the `tokenizer.json` folder of any model, and
no network: `python make_site_golden.py <folder>`. `make oracles` runs it.
"""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.seeded_weights import seeded, seeded_loss_weights
from oracles.summaries import summary

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENS = [[3, 14, 15, 9, 26, 5, 35, 8, 79], [2, 71, 8, 28, 18, 28, 45, 9, 0]]
LLAMA_SIZES = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, vocab_size=80,
    max_position_embeddings=16, tie_word_embeddings=False, rms_norm_eps=1e-5,
)  # fmt: skip
GEMMA_SIZES = LLAMA_SIZES | dict(
    intermediate_size=40, tie_word_embeddings=True, sliding_window=4, query_pre_attn_scalar=64,
    layer_types=["sliding_attention", "full_attention"],
)  # fmt: skip
CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(n_embd=24, n_layer=2, n_head=3, n_inner=40, vocab_size=80, n_positions=16),
    "llama": LlamaConfig(**LLAMA_SIZES, intermediate_size=40),
    "gpt_neox": GPTNeoXConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, vocab_size=80,
        max_position_embeddings=16,
    ),
    "mixtral": MixtralConfig(**LLAMA_SIZES, intermediate_size=20, num_local_experts=4, num_experts_per_tok=2),
    "mistral": MistralConfig(**LLAMA_SIZES, intermediate_size=40, sliding_window=4),
    "qwen2": Qwen2Config(**LLAMA_SIZES, intermediate_size=40),
    "qwen3": Qwen3Config(**LLAMA_SIZES, intermediate_size=40),
    "gemma": Gemma2Config(**GEMMA_SIZES, attn_logit_softcapping=2.0, final_logit_softcapping=5.0),
    "gemma3": Gemma3TextConfig(
        architectures=["Gemma3ForCausalLM"],
        **GEMMA_SIZES,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 8.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10.0},
        },
    ),
}  # fmt: skip
# Where TransformerLens reads each Site: its own names are aliases of these. Its `ln_final.hook_normalized` leaves out
# an RMS norm's weight, so the end of the norm is taken. `*` stands for `blocks.<layer>`.
PLACES = {
    "hook_embed": "embed.hook_out",
    "hook_pos_embed": "pos_embed.hook_out",
    "*.hook_resid_pre": "*.hook_in",
    "*.attn.hook_q": "*.attn.q.hook_out",
    "*.attn.hook_k": "*.attn.k.hook_out",
    "*.attn.hook_v": "*.attn.v.hook_out",
    "*.attn.hook_z": "*.attn.o.hook_in",
    "*.hook_attn_out": "*.attn.hook_out",
    "*.hook_resid_mid": "*.ln2.hook_in",
    "*.mlp.hook_post": "*.mlp.out.hook_in",
    "*.hook_mlp_out": "*.mlp.hook_out",
    "*.hook_resid_post": "*.hook_out",
    "ln_final.hook_normalized": "ln_final.hook_out",
    # What the model returns: Gemma 2 bends to a cap what its unembedding hands on.
    "hook_logits": "logits",
} | {name: name for name in ("ln_final.hook_scale", "*.ln1.hook_scale", "*.ln2.hook_scale")}
FORMED = [f"*.attn.hook_{part}" for part in ("rot_q", "rot_k", "attn_scores", "pattern", "result")]
PLACES |= dict(zip(FORMED, FORMED, strict=True))
QK_NORMS = {f"*.attn.{part}_norm.hook_scale": f"*.attn.{part}_norm.hook_scale" for part in "qk"}
# What a sublayer adds to the stream is what the norm after it hands on.
POST_NORMS = {f"*.{norm}.hook_scale": f"*.{norm}.hook_scale" for norm in ("ln1_post", "ln2_post")} | {
    "*.hook_attn_out": "*.ln1_post.hook_out",
    "*.hook_mlp_out": "*.ln2_post.hook_out",
}
GATED = {"*.mlp.hook_pre": "*.mlp.gate.hook_out", "*.mlp.hook_pre_linear": "*.mlp.in.hook_out"}
OWN_PLACES = {
    "gpt2": {"*.mlp.hook_pre": "*.mlp.in.hook_out"},
    # Attention and MLP stand in parallel, so what the second norm reads is the stream where the block begins.
    "gpt_neox": {"*.mlp.hook_pre": "*.mlp.in.hook_out", "*.hook_resid_mid": "none"},
    "qwen3": GATED | QK_NORMS,
    "gemma": GATED | POST_NORMS,
    "gemma3": GATED | POST_NORMS | QK_NORMS,
    "mixtral": {f"*.mlp.gate.hook_{part}": f"*.mlp.gate.hook_{part}" for part in ("out", "expert_weights")},
}


def filled(config: PretrainedConfig) -> Any:
    """Return the network of transformers with seeded weights."""
    net = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape))))
    return net


def golden(architecture: str, config: PretrainedConfig, tokenizer: Any) -> dict[str, Any]:
    """Return what one golden file holds."""
    net = filled(config)
    tokens = torch.tensor(TOKENS)
    plain = net(tokens).logits
    weights = {name: list(weight.shape) for name, weight in net.named_parameters()}
    bridge = TransformerBridge.boot_transformers(architecture, hf_model=net, tokenizer=tokenizer, device="cpu")
    bridge.set_use_attn_result(True)
    values: dict[str, Tensor] = {}

    def keep(value: Tensor, hook: Any) -> Tensor:
        if value.requires_grad:
            value.retain_grad()
            values[hook.name] = value
        # Handed back, so that what is kept is what flows on.
        return value

    if architecture == "gpt_neox":
        _keep_turned(bridge, keep)
    places = {
        name.replace("*", f"blocks.{layer}"): place.replace("*", f"blocks.{layer}")
        for name, place in (PLACES | OWN_PLACES.get(architecture, GATED)).items()
        for layer in range(config.num_hidden_layers)
    }
    for place in set(places.values()) & set(bridge.hook_dict):
        bridge.hook_dict[place].add_hook(keep)
    logits = keep(bridge(tokens), SimpleNamespace(name="logits"))
    assert torch.allclose(logits, plain, atol=1e-5), "TransformerLens does not compute what transformers does"
    (logits * torch.from_numpy(seeded_loss_weights(tuple(logits.shape)))).sum().backward()
    return {
        "made_by": {name: version(name) for name in ("transformer-lens", "transformers", "torch")},
        "config": config.to_diff_dict(),
        "weights": weights,
        "tokens": TOKENS,
        "sites": {
            name: summary(_as_ours(name, values[place]), _as_ours(name, values[place].grad))
            for name, place in places.items()
            if place in values
        },
    }


def _keep_turned(bridge: Any, keep: Any) -> None:
    """Keep queries and keys where TransformerLens turns them: for this architecture it has no hook there."""
    for layer, block in enumerate(bridge.blocks):

        def turned(*given: Tensor, layer: int = layer, turn: Any = block.attn._apply_rotary_pos_emb) -> list[Tensor]:
            places = [SimpleNamespace(name=f"blocks.{layer}.attn.hook_rot_{part}") for part in "qk"]
            return [
                keep(value.transpose(1, 2), place).transpose(1, 2)
                for value, place in zip(turn(*given), places, strict=True)
            ]

        block.attn._apply_rotary_pos_emb = turned


def _as_ours(name: str, value: Tensor | None) -> Tensor | None:
    """Return a value as our Sites have it: row by row, not all tokens in one (a router's), and heads after tokens."""
    if value is None or value.ndim == 2:
        return value if value is None else value.unflatten(0, (len(TOKENS), -1))
    return value.transpose(1, 2) if "_norm." in name else value


def main(folder: str) -> None:
    """Write one file for each architecture."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for architecture, config in CONFIGS.items():
        found = golden(architecture, config, tokenizer)
        for name, value in found["sites"].items():
            print(architecture, name, value["shape"], "grad" in value)
        text = re.sub(r"\[[^\[\]{}]*\]", lambda flat: " ".join(flat[0].split()), json.dumps(found, indent=1))
        (GOLDEN / f"sites_{architecture}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
