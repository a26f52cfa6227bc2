"""Hugging Face folders: which keys of `config.json` are sizes, which tensors are which weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glassbook.core.errors import ModelError
from glassbook.models.architectures import unknown_architecture
from glassbook.models.gpt2 import ACTIVATIONS
from glassbook.models.loading.dialect import Dialect, Rule, translate
from glassbook.models.loading.formats.huggingface_llama import LLAMA, LLAMAS, family_fields
from glassbook.models.loading.formats.huggingface_rope import rope_table, scaling_of

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


def _gpt_neox_rules(unembed: str) -> tuple[Rule, ...]:
    return (
        Rule("embed_in.weight", "embed.weight"),
        *(
            Rule(f"layers.{{layer}}.{theirs}.{kind}", f"blocks.{{layer}}.{ours}.{kind}", stored=stored)
            for theirs, (ours, stored) in {
                "input_layernorm": ("ln1", "as is"),
                "attention.query_key_value": ("attn.qkv", "head by head"),
                "attention.dense": ("attn.out", "as is"),
                "post_attention_layernorm": ("ln2", "as is"),
                "mlp.dense_h_to_4h": ("mlp.up", "as is"),
                "mlp.dense_4h_to_h": ("mlp.down", "as is"),
            }.items()
            for kind in ("weight", "bias")
        ),
        Rule("final_layer_norm.weight", "ln_final.weight"),
        Rule("final_layer_norm.bias", "ln_final.bias"),
        Rule(f"{unembed}.weight", "unembed.weight"),
    )


GPT_NEOX = Dialect(
    architecture="gpt_neox",
    keys={
        "num_hidden_layers": "n_layers",
        "hidden_size": "d_model",
        "num_attention_heads": "n_heads",
        "intermediate_size": "d_mlp",
        "vocab_size": "d_vocab",
        "max_position_embeddings": "n_ctx",
        "layer_norm_eps": "norm_eps",
        "tie_word_embeddings": "tied_embeddings",
        "hidden_act": "act_fn",
        "use_parallel_residual": "parallel",
    },
    defaults={"n_ctx": 2048, "norm_eps": 1e-5, "tied_embeddings": False, "act_fn": "gelu", "parallel": True},
    demands={"hidden_act": tuple(ACTIVATIONS), "attention_bias": (True,), "quantization_config": ()},
    rules=_gpt_neox_rules("embed_out"),
    prefixes=("gpt_neox.",),
    ignored=(r"layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",),
    # transformers 5 may save the unembedding under the name that it has in memory.
    variants=(_gpt_neox_rules("lm_head"),),
)


def _mixtral_rules(mixture: str, *experts: Rule) -> tuple[Rule, ...]:
    shared = (rule for rule in LLAMA.rules if ".mlp." not in rule.ours)
    return (*shared, Rule(f"layers.{{layer}}.{mixture}.gate.weight", "blocks.{layer}.mlp.router.weight"), *experts)


_EXPERT = "blocks.{layer}.mlp.experts.{expert}"
MIXTRAL = replace(
    LLAMA,
    architecture="mixtral",
    keys={**LLAMA.keys, "num_local_experts": "n_experts", "num_experts_per_tok": "top_k"},
    defaults={**LLAMA.defaults, "n_ctx": 131072, "norm_eps": 1e-5},
    rules=_mixtral_rules(
        "block_sparse_moe",
        Rule("layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight", f"{_EXPERT}.gate_up.weight", "gate"),
        Rule("layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight", f"{_EXPERT}.gate_up.weight", "up"),
        Rule("layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight", f"{_EXPERT}.down.weight"),
    ),
    # transformers 5 may save the experts as it has them in memory, stacked.
    variants=(
        _mixtral_rules(
            "mlp",
            Rule("layers.{layer}.mlp.experts.gate_up_proj", f"{_EXPERT}.gate_up.weight"),
            Rule("layers.{layer}.mlp.experts.down_proj", f"{_EXPERT}.down.weight"),
        ),
    ),
)

DIALECTS = LLAMAS | {"gpt2": GPT2, "gpt_neox": GPT_NEOX, "mixtral": MIXTRAL}
_TEXT_TYPES = {"gemma3": "gemma3_text"}


def text_part(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `config.json` says of the text tower, where the model has others beside it; else all that it says."""
    text, name = said.get("text_config"), said.get("model_type")
    if not isinstance(text, Mapping) or name not in _TEXT_TYPES:
        return said
    shared = {key: said[key] for key in ("_name_or_path", "quantization_config", "tie_word_embeddings") if key in said}
    return {**shared, **text, "model_type": _TEXT_TYPES[name]}


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
    elif dialect is GPT_NEOX:
        fields |= _partial_rotation(said, fields["d_head"], place)
    else:
        fields["n_kv_heads"] = fields["n_kv_heads"] or n_heads
        fields |= (
            _mixtral_rope(said, place)
            if dialect is MIXTRAL
            else family_fields(said["model_type"], said, fields["n_layers"], place)
        )
    return fields


def name_of(said: Mapping[str, Any]) -> str:
    """Return the name `owner/name` or `name` that a `config.json` gives its model; empty where it is a path."""
    name = said.get("_name_or_path")
    if not isinstance(name, str) or name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        return ""
    return name


def _partial_rotation(said: Mapping[str, Any], d_head: int, place: str) -> dict[str, Any]:
    """Return how GPT-NeoX turns a part of each head, which releases of transformers have written in two ways."""
    rope = _rope(said, place)
    share = rope.get("partial_rotary_factor", said.get("rotary_pct", 0.25))
    if type(share) not in (int, float) or not 0 < share <= 1:
        raise ModelError(f"{place} turns a share rotary_pct = {str(share)[:60]} of each head; mend it to one up to 1")
    base = rope.get("rope_theta") or said.get("rotary_emb_base") or 10000.0
    return {"d_rotary": int(share * d_head), "rope_base": base}


def _mixtral_rope(said: Mapping[str, Any], place: str) -> dict[str, Any]:
    rope = rope_table(said, place)
    base = rope.get("rope_theta") or said.get("rope_theta") or 1e6
    return {"rope_base": base, "rope_scaling": scaling_of(rope, said.get("max_position_embeddings"), place)}


def _rope(said: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """Return the table of rotary parameters, empty where there is none; raise ModelError for angles that are scaled."""
    rope = said.get("rope_parameters") or said.get("rope_scaling") or {}
    if not isinstance(rope, Mapping):
        raise ModelError(f"{place} gives rope_parameters that are no table of values; mend it or fetch the model again")
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        raise ModelError(
            f"{place} scales its rotary angles ({str(kind)[:60]}), which our gpt_neox does not do; open another model"
        )
    return rope
