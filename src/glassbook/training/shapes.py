"""New networks from the few sizes that a person chooses."""

from typing import Any

from glassbook.core.errors import InputError
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.models.llama import Llama, LlamaConfig
from glassbook.models.transformer import Transformer

ARCHITECTURES = ("gpt2", "llama")


def new_network(
    architecture: str, *, n_layers: int, d_model: int, n_heads: int, d_vocab: int, n_ctx: int, seed: int
) -> Transformer:
    """Return a network with fresh weights: GPT-2's with an MLP of 4 d_model, Llama's of 8/3 d_model rounded up to 8.

    Both have their unembedding tied, which serves small networks best. Raises InputError for an architecture that is none
    of these and for heads that do not divide the stream, ModelError for sizes that no network can have.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"'{architecture}' cannot be trained anew; choose {' or '.join(ARCHITECTURES)}")
    if d_model % n_heads:
        raise InputError(f"{n_heads} heads do not divide a stream of {d_model}; choose a d_model that is a multiple")
    sizes: dict[str, Any] = {"n_layers": n_layers, "d_model": d_model, "n_heads": n_heads, "d_head": d_model // n_heads}
    sizes |= {"d_vocab": d_vocab, "n_ctx": n_ctx}
    net: Transformer
    if architecture == "gpt2":
        net = GPT2(GPT2Config(**sizes, d_mlp=4 * d_model, norm_eps=1e-5, tied_embeddings=True))
    else:
        d_mlp = -(-8 * d_model // 24) * 8
        net = Llama(LlamaConfig(**sizes, d_mlp=d_mlp, norm_eps=1e-5, tied_embeddings=True, n_kv_heads=n_heads))
    net.init_weights(seed)
    return net
