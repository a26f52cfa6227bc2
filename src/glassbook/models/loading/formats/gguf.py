"""GGUF as llama.cpp writes it: which metadata are sizes, which tensors are which weights.

Names after https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glassbook.core.errors import ModelError
from glassbook.files.gguf import GGUFFile
from glassbook.models.architectures import unknown_architecture
from glassbook.models.loading.dialect import Dialect, Rule, translate
from glassbook.models.loading.formats.gguf_llama import LLAMA, LLAMAS, family_fields

_UNQUANTIZED = ("F32", "F16", "BF16")

GPT2 = Dialect(
    architecture="gpt2",
    keys={
        "gpt2.block_count": "n_layers",
        "gpt2.embedding_length": "d_model",
        "gpt2.attention.head_count": "n_heads",
        "gpt2.feed_forward_length": "d_mlp",
        "gpt2.context_length": "n_ctx",
        "gpt2.attention.layer_norm_epsilon": "norm_eps",
    },
    # llama.cpp computes GPT-2's nonlinearity by the tanh formula whatever the original said.
    defaults={"act_fn": "gelu_new"},
    rules=(
        Rule("token_embd.weight", "embed.weight"),
        Rule("position_embd.weight", "pos_embed.weight"),
        *(
            Rule(f"blk.{{layer}}.{theirs}.{kind}", f"blocks.{{layer}}.{ours}.{kind}")
            for theirs, ours in {
                "attn_norm": "ln1", "attn_qkv": "attn.qkv", "attn_output": "attn.out",
                "ffn_norm": "ln2", "ffn_up": "mlp.up", "ffn_down": "mlp.down",
            }.items()
            for kind in ("weight", "bias")
        ),
        Rule("output_norm.weight", "ln_final.weight"),
        Rule("output_norm.bias", "ln_final.bias"),
        Rule("output.weight", "unembed.weight"),
    ),
)  # fmt: skip

GPT_NEOX = Dialect(
    architecture="gpt_neox",
    keys={
        "gptneox.block_count": "n_layers",
        "gptneox.embedding_length": "d_model",
        "gptneox.attention.head_count": "n_heads",
        "gptneox.feed_forward_length": "d_mlp",
        "gptneox.context_length": "n_ctx",
        "gptneox.attention.layer_norm_epsilon": "norm_eps",
        "gptneox.rope.dimension_count": "d_rotary",
        "gptneox.rope.freq_base": "rope_base",
        "gptneox.use_parallel_residual": "parallel",
    },
    # As for GPT-2, llama.cpp computes the tanh formula.
    defaults={"act_fn": "gelu_new", "rope_base": 10000.0},
    demands={"gptneox.rope.scaling.type": ("none",), "gptneox.rope.scaling.factor": (1.0,)},
    rules=tuple(rule for rule in GPT2.rules if rule.ours != "pos_embed.weight"),
)

_EXPERT = "blocks.{layer}.mlp.experts.{expert}"


def _mixtral_rules(**theirs: str) -> tuple[Rule, ...]:
    shared = (rule for rule in LLAMA.rules if ".mlp." not in rule.ours)
    return (
        *shared,
        Rule("blk.{layer}.ffn_gate_inp.weight", "blocks.{layer}.mlp.router.weight"),
        Rule(theirs["gate"], f"{_EXPERT}.gate_up.weight", "gate"),
        Rule(theirs["up"], f"{_EXPERT}.gate_up.weight", "up"),
        Rule(theirs["down"], f"{_EXPERT}.down.weight"),
    )


# A Llama with experts; early files hold each expert in tensors of its own.
MIXTRAL = replace(
    LLAMA,
    architecture="mixtral",
    keys={**LLAMA.keys, "llama.expert_count": "n_experts", "llama.expert_used_count": "top_k"},
    demands={key: accepted for key, accepted in LLAMA.demands.items() if key != "llama.expert_count"},
    rules=_mixtral_rules(**{part: f"blk.{{layer}}.ffn_{part}_exps.weight" for part in ("gate", "up", "down")}),
    variants=(
        _mixtral_rules(**{part: f"blk.{{layer}}.ffn_{part}.{{expert}}.weight" for part in ("gate", "up", "down")}),
    ),
)

DIALECTS = LLAMAS | {"gpt2": GPT2, "gptneox": GPT_NEOX}


def find_dialect(file: GGUFFile) -> Dialect:
    """Return the dialect of the file's architecture; raise ModelError for one that we do not have."""
    name = file.metadata.get("general.architecture")
    if name not in DIALECTS:
        raise unknown_architecture(f"'{file.path}'", name, DIALECTS)
    return MIXTRAL if name == "llama" and file.metadata.get("llama.expert_count") else DIALECTS[name]


def read_fields(dialect: Dialect, file: GGUFFile) -> dict[str, Any]:
    """Return our configuration fields; raise ModelError for what our network does not do."""
    place = f"'{file.path}'"
    fields = translate(dialect, file.metadata, place)
    fields["d_vocab"] = _vocabulary(file, place)
    fields["tied_embeddings"] = "output.weight" not in file.tensors
    _complete_heads(dialect, fields, file.metadata, place)
    return fields if dialect in (GPT2, GPT_NEOX) else fields | family_fields(fields, file, place)


def name_of(metadata: Mapping[str, Any]) -> str:
    """Return what the file calls its model, or an empty text."""
    for key in ("general.name", "general.basename"):
        if isinstance(name := metadata.get(key), str) and name.strip():
            return name.strip()
    return ""


def quantization_of(file: GGUFFile) -> str:
    """Return `dequantized Q4_1` for a file most of whose weights are Q4_1, nothing where they are plain numbers."""
    counts: Counter[str] = Counter()
    for tensor in file.tensors.values():
        if len(tensor.shape) > 1:
            counts[tensor.kind] += tensor.n_rows * tensor.row
    kind = counts.most_common(1)[0][0] if counts else "F32"
    return "" if kind in _UNQUANTIZED else f"dequantized {kind}"


def _vocabulary(file: GGUFFile, place: str) -> int:
    tensor = file.tensors.get("token_embd.weight")
    if tensor is None or len(tensor.shape) != 2:
        raise ModelError(f"{place} lacks the matrix 'token_embd.weight'; fetch the file again")
    return tensor.shape[0]


def _complete_heads(dialect: Dialect, fields: dict[str, Any], metadata: Mapping[str, Any], place: str) -> None:
    """Set the head sizes that the file leaves to be worked out, and refuse heads that differ from each other."""
    n_heads, d_model = fields["n_heads"], fields["d_model"]
    if type(n_heads) is not int or type(d_model) is not int or n_heads < 1:
        raise ModelError(
            f"{place} gives its layers different numbers of heads, which is not done here; open another model"
        )
    if fields.get("d_head") is None:
        fields["d_head"] = d_model // n_heads
    if dialect in (GPT2, GPT_NEOX):
        return
    if fields["n_kv_heads"] is None:
        fields["n_kv_heads"] = n_heads
    for name in ("rope.dimension_count", "attention.value_length"):
        key = f"{metadata['general.architecture']}.{name}"
        if metadata.get(key, fields["d_head"]) != fields["d_head"]:
            raise ModelError(
                f"{place} asks for {key} = {metadata[key]} with heads of {fields['d_head']}, which is not done here; "
                "open another model"
            )
