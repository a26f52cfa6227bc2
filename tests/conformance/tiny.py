"""Tiny networks with seeded weights, ours and transformers', and a tiny tokenizer: what tests of all rooms stand on."""

import functools
from collections.abc import Mapping

import tokenizers
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from conformance.shapes import ROWS, config_of
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.config import Config
from glassbook.models.gpt2 import GPT2Config
from glassbook.models.gpt_neox import GPTNeoXConfig
from glassbook.models.identity import Identity, fingerprint, lineage
from glassbook.models.llama import LlamaConfig
from glassbook.models.mixtral import MixtralConfig
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer
from glassbook.text.bpe import CHAR_TO_BYTE
from glassbook.text.tokenizer import Declared, Tokenizer
from oracles.seeded_weights import seeded

GPT2, LLAMA, GPT_NEOX, MIXTRAL = "gpt2", "llama", "gpt_neox", "mixtral"


@functools.cache
def their_net_of(architecture: str, config: Config, attention: str = "eager", seed: int = 0) -> PreTrainedModel:
    """Return the network of transformers in this shape, its weights a function of their names and the seed."""
    net = AutoModelForCausalLM.from_config(
        ROWS[architecture].their_config(config), attn_implementation=attention
    ).eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape), seed)))
    return net.requires_grad_(False)


def their_net(architecture: str, label: str, attention: str = "eager") -> PreTrainedModel:
    """Return the network of transformers in one shape of the table."""
    return their_net_of(architecture, config_of(architecture, label), attention)


def our_net_of(architecture: str, config: Config, theirs: Mapping[str, Tensor]) -> Transformer:
    """Return our network with the weights of theirs, frozen as an opened model's are."""
    net = ARCHITECTURES.find(architecture)(config)
    net.load_state_dict(ROWS[architecture].our_weights(theirs, config))
    return net.eval().requires_grad_(False)


def our_net(architecture: str, label: str, theirs: Mapping[str, Tensor] | None = None) -> Transformer:
    """Return our network in one shape of the table, with the weights of `their_net` unless others are given."""
    weights = their_net(architecture, label).state_dict() if theirs is None else theirs
    return our_net_of(architecture, config_of(architecture, label), weights)


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


def tiny_config(architecture: str) -> Config:
    """Return the shape of the tiny models: three layers, and a vocabulary as large as the tiny tokenizer's."""
    sizes = dict(n_layers=3, d_model=32, n_heads=4, d_head=8, d_mlp=48, d_vocab=262, n_ctx=48, norm_eps=1e-5)
    if architecture == LLAMA:
        return LlamaConfig(**sizes, tied_embeddings=False, n_kv_heads=2)
    if architecture == GPT_NEOX:
        return GPTNeoXConfig(**sizes, tied_embeddings=False, d_rotary=4)
    if architecture == MIXTRAL:
        return MixtralConfig(**sizes, tied_embeddings=False, n_kv_heads=2, n_experts=4, top_k=2)
    return GPT2Config(**sizes, tied_embeddings=True)


def tiny_theirs(architecture: str, seed: int = 1) -> PreTrainedModel:
    """Return the network of transformers with the weights of `tiny_model`."""
    return their_net_of(architecture, tiny_config(architecture), seed=seed)


@functools.cache
def tiny_model(architecture: str = LLAMA, seed: int = 1) -> Model:
    """Return a model with a tokenizer and lively seeded weights."""
    net = our_net_of(architecture, tiny_config(architecture), tiny_theirs(architecture, seed).state_dict())
    name = f"tiny-{architecture}" if seed == 1 else f"tiny-{architecture}-{seed}"
    return as_model(net, tiny_tokenizer(), name, origin=name)
