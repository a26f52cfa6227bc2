"""Hugging Face folders of Llama, its descendants and Gemma: one table of names, and what each family says beyond it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glassbook.core.errors import ModelError
from glassbook.models.loading.dialect import Dialect, Rule
from glassbook.models.loading.formats.huggingface_rope import rope_table, scaling_of

LLAMA = Dialect(
    architecture="llama",
    keys={
        "num_hidden_layers": "n_layers",
        "hidden_size": "d_model",
        "num_attention_heads": "n_heads",
        "num_key_value_heads": "n_kv_heads",
        "head_dim": "d_head",
        "intermediate_size": "d_mlp",
        "vocab_size": "d_vocab",
        "max_position_embeddings": "n_ctx",
        "rms_norm_eps": "norm_eps",
        "tie_word_embeddings": "tied_embeddings",
    },
    defaults={"n_kv_heads": None, "d_head": None, "n_ctx": 2048, "norm_eps": 1e-6, "tied_embeddings": False},
    demands={
        "hidden_act": ("silu", "swish"),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "partial_rotary_factor": (1.0,),
        "sliding_window": (),
        "quantization_config": (),
    },
    rules=(
        Rule("embed_tokens.weight", "embed.weight"),
        Rule("layers.{layer}.input_layernorm.weight", "blocks.{layer}.ln1.weight"),
        Rule("layers.{layer}.self_attn.q_proj.weight", "blocks.{layer}.attn.qkv.weight", "q"),
        Rule("layers.{layer}.self_attn.k_proj.weight", "blocks.{layer}.attn.qkv.weight", "k"),
        Rule("layers.{layer}.self_attn.v_proj.weight", "blocks.{layer}.attn.qkv.weight", "v"),
        Rule("layers.{layer}.self_attn.o_proj.weight", "blocks.{layer}.attn.out.weight"),
        Rule("layers.{layer}.post_attention_layernorm.weight", "blocks.{layer}.ln2.weight"),
        Rule("layers.{layer}.mlp.gate_proj.weight", "blocks.{layer}.mlp.gate_up.weight", "gate"),
        Rule("layers.{layer}.mlp.up_proj.weight", "blocks.{layer}.mlp.gate_up.weight", "up"),
        Rule("layers.{layer}.mlp.down_proj.weight", "blocks.{layer}.mlp.down.weight"),
        Rule("norm.weight", "ln_final.weight"),
        Rule("lm_head.weight", "unembed.weight"),
    ),
    prefixes=("model.",),
    ignored=(r"(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",),
)

_WINDOWED = {key: accepted for key, accepted in LLAMA.demands.items() if key != "sliding_window"}
_QK_NORMS = tuple(
    Rule(f"layers.{{layer}}.self_attn.{name}.weight", f"blocks.{{layer}}.attn.{name}.weight")
    for name in ("q_norm", "k_norm")
)
MISTRAL = replace(LLAMA, demands=_WINDOWED, defaults={**LLAMA.defaults, "n_ctx": 131072})
QWEN2 = replace(
    LLAMA,
    demands={key: accepted for key, accepted in _WINDOWED.items() if key != "attention_bias"},
    defaults={**LLAMA.defaults, "n_ctx": 32768, "qkv_bias": True},
    rules=(
        *LLAMA.rules,
        *(
            Rule(f"layers.{{layer}}.self_attn.{part}_proj.bias", "blocks.{layer}.attn.qkv.bias", part)
            for part in ("q", "k", "v")
        ),
    ),
)
QWEN3 = replace(
    LLAMA,
    demands=_WINDOWED,
    defaults={**LLAMA.defaults, "n_ctx": 32768, "d_head": 128, "qk_norm": True},
    rules=(*LLAMA.rules, *_QK_NORMS),
)

_GEMMA_NORMS = {
    "input_layernorm": "ln1",
    "post_attention_layernorm": "ln1_post",
    "pre_feedforward_layernorm": "ln2",
    "post_feedforward_layernorm": "ln2_post",
}
GEMMA2 = replace(
    LLAMA,
    architecture="gemma",
    keys={**LLAMA.keys, "query_pre_attn_scalar": "query_pre_attn_scalar"},
    # Files leave out what transformers has as a default.
    defaults={
        "n_layers": 26, "d_model": 2304, "n_heads": 8, "n_kv_heads": 4, "d_head": 256, "d_mlp": 9216, "d_vocab": 256000,
        "n_ctx": 8192, "norm_eps": 1e-6, "tied_embeddings": True, "query_pre_attn_scalar": 256,
    },
    demands={
        "hidden_activation": ("gelu_pytorch_tanh",),
        "attention_bias": (False,),
        "use_bidirectional_attention": (False,),
        "quantization_config": (),
    },
    rules=(
        *(rule for rule in LLAMA.rules if ".ln" not in rule.ours),
        *(
            Rule(f"layers.{{layer}}.{theirs}.weight", f"blocks.{{layer}}.{ours}.weight")
            for theirs, ours in _GEMMA_NORMS.items()
        ),
    ),
)  # fmt: skip
GEMMA3 = replace(
    GEMMA2,
    defaults={**GEMMA2.defaults, "d_vocab": 262208, "n_ctx": 131072, "qk_norm": True},
    demands={**GEMMA2.demands, "attn_logit_softcapping": ()},
    rules=(*GEMMA2.rules, *_QK_NORMS),
    # Of a model that sees images too, the text tower is read.
    prefixes=("language_model.model.", "model.language_model.", "language_model.", "model."),
    ignored=(*GEMMA2.ignored, r"(vision_tower|multi_modal_projector)\..*"),
)

LLAMAS: dict[str, Dialect] = {
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
}


def family_fields(name: str, said: Mapping[str, Any], n_layers: Any, place: str) -> dict[str, Any]:
    """Return the fields that a family says in words of its own: angles, windows and caps."""
    n_ctx = said.get("max_position_embeddings", LLAMAS[name].defaults["n_ctx"])
    rope = rope_table(said, place, "full_attention")
    default = 1e6 if name == "gemma3_text" else 1e4
    fields: dict[str, Any] = {
        "rope_base": rope.get("rope_theta") or said.get("rope_theta") or default,
        "rope_scaling": scaling_of(rope, n_ctx, place),
        "windows": _windows(name, said, n_layers, place),
    }
    if LLAMAS[name].architecture == "gemma":
        fields["final_softcap"] = said.get("final_logit_softcapping", 30.0 if name == "gemma2" else None) or 0.0
    if name == "gemma2":
        fields["attn_softcap"] = said.get("attn_logit_softcapping", 50.0) or 0.0
    if name == "gemma3_text":
        fields["local_rope_base"] = _local_base(said, place)
    return fields


def _local_base(said: Mapping[str, Any], place: str) -> Any:
    both = said.get("rope_parameters")
    local = rope_table(said, place, "sliding_attention") if both and "sliding_attention" in both else {}
    if scaling_of(local, 1, place) is not None:
        raise ModelError(
            f"{place} scales the rotary angles of its local layers, which is not done here; open another model"
        )
    return local.get("rope_theta") or said.get("rope_local_base_freq") or 1e4


def _windows(name: str, said: Mapping[str, Any], n_layers: Any, place: str) -> tuple[Any, ...]:
    """Return how far each layer looks back; raise ModelError for a sort of layer that we do not have."""
    window = said.get("sliding_window", 4096)
    is_off = name == "llama" or (name.startswith("qwen") and not said.get("use_sliding_window"))
    if is_off or (not window and name == "mistral") or type(n_layers) is not int:
        return ()
    types = said.get("layer_types") or _layer_types(name, said, n_layers)
    known = {"sliding_attention": window, "full_attention": 0}
    for one in types:
        if one not in known:
            raise ModelError(f"{place} has layers of {str(one)[:60]}, which is not done here; open another model")
    if "sliding_attention" in types and not window:
        raise ModelError(f"{place} has layers of sliding_attention and no sliding_window; mend it")
    return tuple(known[one] for one in types)


def _layer_types(name: str, said: Mapping[str, Any], n_layers: int) -> list[str]:
    """Return the sorts of layers that transformers takes for granted."""
    period = {"gemma2": 2, "gemma3_text": said.get("sliding_window_pattern") or 6}.get(name)
    if period:
        return ["sliding_attention" if (layer + 1) % period else "full_attention" for layer in range(n_layers)]
    first = 0 if name == "mistral" else said.get("max_window_layers", 28)
    return ["sliding_attention" if layer >= first else "full_attention" for layer in range(n_layers)]
