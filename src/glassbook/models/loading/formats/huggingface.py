"""Hugging Face folders: which keys of `config.json` are sizes, which tensors are which weights."""

from collections.abc import Mapping
from typing import Any

from glassbook.core.errors import ModelError
from glassbook.models.architectures import unknown_architecture
from glassbook.models.gpt2 import ACTIVATIONS
from glassbook.models.loading.dialect import Dialect, Rule, translate

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

GPT2 = Dialect(
    architecture="gpt2",
    keys={
        "n_layer": "n_layers",
        "n_embd": "d_model",
        "n_head": "n_heads",
        "n_inner": "d_mlp",
        "vocab_size": "d_vocab",
        "n_positions": "n_ctx",
        "layer_norm_epsilon": "norm_eps",
        "tie_word_embeddings": "tied_embeddings",
        "activation_function": "act_fn",
    },
    defaults={"d_mlp": None, "norm_eps": 1e-5, "tied_embeddings": True, "act_fn": "gelu_new"},
    demands={
        "activation_function": tuple(ACTIVATIONS),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "quantization_config": (),
    },
    # GPT-2 was trained with its matrices the other way round, [in, out], and its files keep them so.
    rules=(
        Rule("wte.weight", "embed.weight"),
        Rule("wpe.weight", "pos_embed.weight"),
        *(
            Rule(f"h.{{layer}}.{theirs}.{kind}", f"blocks.{{layer}}.{ours}.{kind}")
            for theirs, ours in {"ln_1": "ln1", "ln_2": "ln2"}.items()
            for kind in ("weight", "bias")
        ),
        *(
            Rule(f"h.{{layer}}.{theirs}.{kind}", f"blocks.{{layer}}.{ours}.{kind}", stored=stored)
            for theirs, ours in {
                "attn.c_attn": "attn.qkv", "attn.c_proj": "attn.out", "mlp.c_fc": "mlp.up", "mlp.c_proj": "mlp.down",
            }.items()
            for kind, stored in (("weight", "transposed"), ("bias", "as is"))
        ),
        Rule("ln_f.weight", "ln_final.weight"),
        Rule("ln_f.bias", "ln_final.bias"),
        Rule("lm_head.weight", "unembed.weight"),
    ),
    prefixes=("transformer.",),
    ignored=(r"h\.\d+\.attn\.(bias|masked_bias)",),
)  # fmt: skip

DIALECTS = {"llama": LLAMA, "gpt2": GPT2}


def find_dialect(said: Mapping[str, Any], place: str) -> Dialect:
    """Return the dialect of the model type that a `config.json` names; raise ModelError for one that we do not have."""
    name = said.get("model_type")
    if name not in DIALECTS:
        raise unknown_architecture(place, name, DIALECTS)
    return DIALECTS[name]


def read_fields(dialect: Dialect, said: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return our configuration fields; raise ModelError for what our network does not do."""
    fields = translate(dialect, said, place)
    n_heads, d_model = fields["n_heads"], fields["d_model"]
    if type(n_heads) is not int or type(d_model) is not int or n_heads < 1:
        raise ModelError(
            f"{place} says {n_heads!r} heads over a width of {d_model!r}; mend it or fetch the model again"
        )
    if fields.get("d_head") is None:
        if d_model % n_heads:
            raise ModelError(f"{place} cannot divide its width of {d_model} among {n_heads} heads; mend it")
        fields["d_head"] = d_model // n_heads
    if dialect is GPT2:
        fields["d_mlp"] = fields["d_mlp"] or 4 * d_model
    else:
        fields["n_kv_heads"] = fields["n_kv_heads"] or n_heads
        fields["rope_base"] = _rope_base(said, place)
    return fields


def name_of(said: Mapping[str, Any]) -> str:
    """Return the name `owner/name` or `name` that a `config.json` gives its model; empty where it is a path."""
    name = said.get("_name_or_path")
    if not isinstance(name, str) or name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        return ""
    return name


def _rope_base(said: Mapping[str, Any], place: str) -> Any:
    """Return the base of the rotary angles, which releases of transformers have written in three ways."""
    rope = said.get("rope_parameters") or said.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        raise ModelError(f"{place} gives rope_parameters that are no table of values; mend it or fetch the model again")
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        raise ModelError(
            f"{place} scales its rotary angles ({str(kind)[:60]}), which is not done here; open another model"
        )
    if (rope.get("partial_rotary_factor") or 1.0) != 1.0:
        raise ModelError(
            f"{place} turns only a part of each head (partial_rotary_factor); open a model that turns all of it"
        )
    return rope.get("rope_theta") or said.get("rope_theta") or 10000.0
