"""Tiny language models that somebody else wrote, for the tests of wrapping."""

import functools

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from conformance.tiny import GPT2, LLAMA, tiny_model, tiny_theirs
from glassbook.models.model import Model
from glassbook.models.wrapped import wrap
from oracles.seeded_weights import seeded

transformers.utils.logging.set_verbosity_error()

_SIZES = dict(vocab_size=262, hidden_size=32, num_hidden_layers=3, num_attention_heads=4)
_CONFIGS = {
    "opt": transformers.OPTConfig(
        **_SIZES, ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=48, pad_token_id=1
    ),
    "falcon": transformers.FalconConfig(**_SIZES, max_position_embeddings=48, bos_token_id=1, eos_token_id=2),
    "phi": transformers.PhiConfig(**_SIZES, intermediate_size=48, max_position_embeddings=48),
    "bloom": transformers.BloomConfig(vocab_size=262, hidden_size=32, n_layer=3, n_head=4),
    "olmo2": transformers.Olmo2Config(**_SIZES, intermediate_size=48, max_position_embeddings=48),
}
# The part of OPT's blocks that writes is not called an MLP.
PARTS = {"opt": {"mlp": "fc2"}}
NATIVE = (GPT2, LLAMA)
FOREIGN = tuple(_CONFIGS)


@functools.cache
def stranger(kind: str) -> PreTrainedModel:
    """Return the network of transformers with lively seeded weights."""
    if kind in NATIVE:
        return tiny_theirs(kind)
    net = AutoModelForCausalLM.from_config(_CONFIGS[kind], attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape), 1)))
    return net.requires_grad_(False)


@functools.cache
def wrapped(kind: str) -> Model:
    """Return the stranger, wrapped; with our tiny tokenizer where we have the model natively."""
    tokenizer = tiny_model(kind).tokenizer if kind in NATIVE else None
    return wrap(stranger(kind), tokenizer, name=f"tiny-{kind}", **PARTS.get(kind, {}))


class PlainBlock(nn.Module):
    """A block that adds the running mean of the tokens before, then a hidden layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream after the block."""
        counts = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)[:, None]
        x = x + self.attention(x.cumsum(1) / counts)
        return x + self.mlp(x)


class Plain(nn.Module):
    """A language model in plain PyTorch: token ids in, logits out, no configuration and no cache."""

    def __init__(self, width: int = 16, d_vocab: int = 30, n_layers: int = 3) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(d_vocab, width), nn.Embedding(32, width)
        self.layers = nn.ModuleList(PlainBlock(width) for _ in range(n_layers))
        self.head = nn.Linear(width, d_vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def plain(**sizes: int) -> Plain:
    """Return the plain model with weights that are the same every time."""
    net = Plain(**sizes).eval().requires_grad_(False)
    for name, weight in net.named_parameters():
        weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape), 2)))
    return net
