"""Tiny networks with seeded weights, ours and transformers', and a tiny tokenizer: what tests of all rooms stand on."""

import functools

import tokenizers
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from conformance.shapes import ROWS, config_of
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.identity import Identity, fingerprint, lineage
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer
from glassbook.text.bpe import CHAR_TO_BYTE
from glassbook.text.tokenizer import Declared, Tokenizer
from oracles.seeded_weights import seeded

GPT2, LLAMA = "gpt2", "llama"


@functools.cache
def their_net(architecture: str, label: str, attention: str = "eager") -> PreTrainedModel:
    """Return the network of transformers, its weights a function of their names."""
    config = ROWS[architecture].their_config(config_of(architecture, label))
    net = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape))))
    return net.requires_grad_(False)


def our_net(architecture: str, label: str, theirs: dict[str, Tensor] | None = None) -> Transformer:
    """Return our network with the same weights (or with `theirs`), frozen as an opened model's are."""
    config = config_of(architecture, label)
    net = ARCHITECTURES.find(architecture)(config)
    state = their_net(architecture, label).state_dict() if theirs is None else theirs
    net.load_state_dict(ROWS[architecture].our_weights(state, config))
    return net.eval().requires_grad_(False)


def as_model(net: Transformer, tokenizer: Tokenizer | None = None, name: str = "tiny", origin: str = "tests") -> Model:
    """Return the network as a person opens it."""
    mark = tokenizer.fingerprint if tokenizer else ""
    identity = Identity(
        name=name,
        fingerprint=fingerprint(net.state_dict().items()),
        lineage=lineage(origin, net.config.sizes, mark),
        quantization="",
        dtype=str(net.embed.weight.dtype).removeprefix("torch."),
        tokenizer=mark,
    )
    return Model(net, tokenizer, identity)


def tiny_tokenizer() -> Tokenizer:
    """Return a byte-level tokenizer of 262 tokens: the bytes, a few merges, and the end-of-text token."""
    letters = {char: number for number, char in enumerate(CHAR_TO_BYTE)}
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("o", "n")]
    vocabulary = letters | {"".join(pair): len(letters) + i for i, pair in enumerate(merges)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    end = backend.token_to_id("<|endoftext|>")
    return Tokenizer(backend, Declared(bos_id=end, eos_id=end))


@functools.cache
def tiny_model(architecture: str = LLAMA, n_layers: int = 3, scale: float = 1.0) -> Model:
    """Return a model with a tokenizer and lively seeded weights, three layers unless told otherwise."""
    sizes = dict(n_layers=n_layers, d_model=32, n_heads=4, d_head=8, d_mlp=48, d_vocab=262, n_ctx=48, norm_eps=1e-5)
    own = {"n_kv_heads": 2} if architecture == LLAMA else {}
    cls = ARCHITECTURES.find(architecture)
    net = cls(cls.config_class(**sizes, tied_embeddings=architecture == GPT2, **own))
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(scale * torch.from_numpy(seeded(name, tuple(weight.shape), seed=1)))
    return as_model(
        net.eval().requires_grad_(False), tiny_tokenizer(), name=f"tiny-{architecture}", origin=f"tiny-{architecture}"
    )
