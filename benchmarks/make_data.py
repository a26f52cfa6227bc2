"""Write the default model as a Hugging Face folder for the peers, and the token ids of real texts, under GLASSBOOK_BENCH."""

import json
from itertools import islice

import numpy as np
from harness import HOME
from safetensors.torch import save_file

import glassbook as gb
from glassbook.text.corpora import open_corpus
from glassbook.text.formats.huggingface import save_folder

PER_BOOK, BOOKS = 1280, 180


def main() -> None:
    """Write `smollm2/`, `data/tokens.npy` and `data/books.npy`; what is there already stays."""
    model = gb.open_model("smollm2-135m")
    folder = HOME / "smollm2"
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_model(model, folder)
    path = HOME / "data" / "tokens.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n\n".join("\n\n".join(open_corpus(name)) for name in ("alice", "oz", "willows"))
        np.save(path, np.array(model.tokenizer.encode(text), dtype=np.uint16))
    path = HOME / "data" / "books.npy"
    if not path.exists():
        np.save(path, np.array(tokens_of_books(model.tokenizer), dtype=np.uint16))


def tokens_of_books(tokenizer) -> list[int]:
    """Return so many tokens from the second half of each of the first books of `classic_books`, one book after another."""
    found = []
    for text in islice(open_corpus("classic_books"), BOOKS):
        # Past title pages and tables of contents.
        found += tokenizer.encode(text[len(text) // 2 :][: PER_BOOK * 8])[:PER_BOOK]
    return found


def write_model(model, folder) -> None:
    """Write the weights under transformers' names, with a configuration and the tokenizer."""
    c, weights = model.config, dict(model.net.named_parameters())
    heads = [c.n_heads * c.d_head, c.n_kv_heads * c.d_head, c.n_kv_heads * c.d_head]
    out = {"model.embed_tokens.weight": weights["embed.weight"], "model.norm.weight": weights["ln_final.weight"]}
    for layer in range(c.n_layers):
        ours, theirs = f"blocks.{layer}", f"model.layers.{layer}"
        q, k, v = weights[f"{ours}.attn.qkv.weight"].split(heads)
        gate, up = weights[f"{ours}.mlp.gate_up.weight"].split(c.d_mlp)
        out |= {f"{theirs}.self_attn.{name}_proj.weight": w for name, w in (("q", q), ("k", k), ("v", v))}
        out |= {f"{theirs}.mlp.gate_proj.weight": gate, f"{theirs}.mlp.up_proj.weight": up}
        out[f"{theirs}.self_attn.o_proj.weight"] = weights[f"{ours}.attn.out.weight"]
        out[f"{theirs}.mlp.down_proj.weight"] = weights[f"{ours}.mlp.down.weight"]
        out[f"{theirs}.input_layernorm.weight"] = weights[f"{ours}.ln1.weight"]
        out[f"{theirs}.post_attention_layernorm.weight"] = weights[f"{ours}.ln2.weight"]
    save_file({name: tensor.detach().contiguous() for name, tensor in out.items()}, folder / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": c.d_model,
        "num_hidden_layers": c.n_layers,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_kv_heads,
        "head_dim": c.d_head,
        "intermediate_size": c.d_mlp,
        "vocab_size": c.d_vocab,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_base,
        "max_position_embeddings": c.n_ctx,
        "tie_word_embeddings": c.tied_embeddings,
        "hidden_act": "silu",
    }
    save_folder(model.tokenizer, folder)
    # Last: where it is, the folder is whole.
    (folder / "config.json").write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    main()
