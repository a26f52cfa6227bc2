"""Models by transformers, to be compared with ours: random ones in folders, and GGUF files read by the gguf package.

Every weight is drawn far from its usual start (norms not 1, biases not 0), so that a weight in a wrong place shows.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
logging.getLogger("gguf").setLevel(logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    """The sizes of a random Llama."""

    n_layers: int = 2
    d_model: int = 32
    n_heads: int = 4
    n_kv_heads: int = 2
    d_head: int = 8
    d_mlp: int = 48
    d_vocab: int = 101
    tied: bool = False
    rope_base: float = 10000.0


@dataclass(frozen=True, kw_only=True)
class GPT2Shape:
    """The sizes of a random GPT-2."""

    n_layers: int = 2
    d_model: int = 32
    n_heads: int = 4
    d_mlp: int | None = None
    d_vocab: int = 101
    tied: bool = True
    act_fn: str = "gelu_new"


def random_llama(shape: LlamaShape, seed: int, folder: Path, **saving: object) -> tuple[LlamaForCausalLM, Path]:
    """Return a random Llama and the folder that `save_pretrained` wrote, with its options `saving`."""
    config = LlamaConfig(
        num_hidden_layers=shape.n_layers, hidden_size=shape.d_model, num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads, head_dim=shape.d_head, intermediate_size=shape.d_mlp,
        vocab_size=shape.d_vocab, tie_word_embeddings=shape.tied, max_position_embeddings=64, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_base},
    )  # fmt: skip
    return saved(LlamaForCausalLM(config), seed, folder, saving)


def random_gpt2(shape: GPT2Shape, seed: int, folder: Path, **saving: object) -> tuple[GPT2LMHeadModel, Path]:
    """Return a random GPT-2 and the folder that `save_pretrained` wrote."""
    config = GPT2Config(
        n_layer=shape.n_layers, n_embd=shape.d_model, n_head=shape.n_heads, n_inner=shape.d_mlp,
        vocab_size=shape.d_vocab, tie_word_embeddings=shape.tied, n_positions=64, activation_function=shape.act_fn,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return saved(GPT2LMHeadModel(config), seed, folder, saving)


def logits_of(net: PreTrainedModel, tokens: Tensor, attention: str = "sdpa") -> Tensor:
    """Return transformers' logits with the attention implementation asked for."""
    net.set_attn_implementation(attention)
    with torch.inference_mode():
        return net(tokens).logits


def tolerance(net: PreTrainedModel, tokens: Tensor, logits: Tensor | None = None) -> float:
    """Return 1e-4, or twice the difference between transformers' own two attentions where that is larger.

    `logits` are those of `logits_of`, where they are at hand.
    """
    sdpa = logits_of(net, tokens) if logits is None else logits
    difference = (logits_of(net, tokens, "eager") - sdpa).abs().max().item()
    return max(1e-4, 2 * difference)


def llama_of_gguf(path: Path) -> LlamaForCausalLM:
    """Return the Llama of a GGUF file, as the gguf package reads and transformers runs it."""
    reader = gguf.GGUFReader(path)
    said = {key.removeprefix("llama."): field.contents() for key, field in reader.fields.items() if key[:6] == "llama."}
    tensors = {tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    heads = {"attn_q": said["attention.head_count"], "attn_k": said["attention.head_count_kv"]}
    state = {}
    for name, array in tensors.items():
        part = name.split(".")[-2]
        state[hf_name(name)] = torch.from_numpy(unpermute(array, heads[part]) if part in heads else np.array(array))
    config = LlamaConfig(
        num_hidden_layers=said["block_count"], hidden_size=said["embedding_length"],
        num_attention_heads=heads["attn_q"], num_key_value_heads=heads["attn_k"],
        intermediate_size=said["feed_forward_length"], vocab_size=len(tensors["token_embd.weight"]),
        tie_word_embeddings="output.weight" not in tensors, max_position_embeddings=said["context_length"],
        rms_norm_eps=said["attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": said["rope.freq_base"]},
    )  # fmt: skip
    with torch.device("meta"):
        net = LlamaForCausalLM(config)
    net.model.rotary_emb = type(net.model.rotary_emb)(config)
    net.load_state_dict(state, strict=False, assign=True)
    net.tie_weights()
    assert not any(weight.is_meta for weight in net.parameters())
    return net.eval()


def permute(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """Return the rows of a query or key matrix in the order in which llama.cpp's converter stores them."""
    d_head = weight.shape[0] // n_heads
    return weight.reshape(n_heads, 2, d_head // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def unpermute(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """Return the rows in the order that transformers has."""
    d_head = weight.shape[0] // n_heads
    return weight.reshape(n_heads, d_head // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


LLAMA_NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip


def hf_name(name: str) -> str:
    """Return what transformers calls a Llama's tensor of a GGUF file."""
    *block, part, kind = name.split(".")
    prefix = f"model.layers.{block[1]}." if block else ""
    return f"{prefix}{LLAMA_NAMES[part]}.{kind}"


def saved(net: PreTrainedModel, seed: int, folder: Path, saving: dict[str, object]) -> tuple[PreTrainedModel, Path]:
    """Return a network with weights drawn far from their usual start, and the folder that `save_pretrained` wrote."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in net.named_parameters():
        is_norm = any(word in name for word in ("norm", "ln_")) and name.endswith("weight")
        nn.init.normal_(
            weight, float(is_norm), 0.2 if weight.ndim == 1 else weight.shape[-1] ** -0.5, generator=generator
        )
    net.save_pretrained(folder, **saving)
    return net.eval(), folder
