"""Writing `parameters.bin` and, beside it, the C file that reads it: what the header says, and the order of the weights."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from glassbook.core.errors import InputError, ModelError
from glassbook.files.atomic import atomic_file, write_bytes
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.models.identity import tensor_bytes
from glassbook.models.llama import Llama, LlamaConfig
from glassbook.models.loading.weights import is_finite
from glassbook.models.model import Model
from glassbook.models.two_files.vocabulary import Vocabulary, read_vocabulary

PARAMETERS_NAME, PROGRAM_NAME = "parameters.bin", "model.c"
_MAGIC = b"glassbk1"
# In the order of the struct Header of model.c: what the checksum covers, then the checksum itself.
_HEADER = struct.Struct("<8s 12i 2f 10i 4i 2Q")
_CHECKSUM = struct.Struct("<Q")
_ALIGNMENT = 64
_MOST_STOPS = 8
_NONE = -1
_GPT2, _LLAMA = 1, 2
_ACTIVATIONS = {"gelu_new": 0, "gelu_pytorch_tanh": 0, "gelu_fast": 0, "gelu": 1, "relu": 2, "silu": 3}


@dataclass(frozen=True, slots=True)
class TwoFiles:
    """What was written: the two paths, how many bytes the parameters take, and why text is not read (empty where it is)."""

    parameters: Path
    program: Path
    n_bytes: int
    why_ids_only: str

    @property
    def reads_text(self) -> bool:
        """Return whether the program takes text, and not token ids alone."""
        return not self.why_ids_only


def write_two_files(model: Model, folder: str | Path) -> TwoFiles:
    """Write `parameters.bin` and `model.c` into `folder`, each all or nothing, and return where they are.

    Compiled by `cc -O3 model.c -lm`, the program prints the same greedy tokens as `model.complete(..., temperature=0)`,
    wherever float32 tells the best two apart. Raises ModelError for an architecture or a choice that the program does not
    compute and for NaN, InputError for weights that are not float32 or a tokenizer with too many stop tokens.
    """
    net = _checked(model)
    vocabulary = read_vocabulary(model.tokenizer)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in _in_order(net)}
    for name, weight in weights.items():
        if not is_finite(weight):
            raise ModelError(f"'{name}' holds NaN or infinity, so nothing is written; go back to sound weights")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder}' is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    parameters, program = folder / PARAMETERS_NAME, folder / PROGRAM_NAME
    head = _head(model, vocabulary, sum(weight.nbytes for weight in weights.values()))
    with atomic_file(parameters) as file:
        file.write(head)
        for weight in weights.values():
            file.write(tensor_bytes(weight))
    write_bytes(program, (files("glassbook.models.two_files") / PROGRAM_NAME).read_bytes())
    return TwoFiles(parameters, program, parameters.stat().st_size, vocabulary.why_ids_only)


def _checked(model: Model) -> GPT2 | Llama:
    """Return the network where the program computes it; raise ModelError or InputError where it does not."""
    net = model.net
    if type(net) not in (GPT2, Llama):
        raise ModelError(
            f"{model.identity.name} is a {type(net).__name__}, and the C program computes GPT-2 and Llama; export one of those"
        )
    assert isinstance(net, GPT2 | Llama)
    if isinstance(net, Llama) and (net.config.qk_norm or any(net.config.windows)):
        choice = "norms its queries and keys" if net.config.qk_norm else "looks back through a window"
        raise ModelError(f"{model.identity.name} {choice}, which the C program does not; export a plain Llama or GPT-2")
    if model.identity.dtype == "int8" or any(weight.dtype is not torch.float32 for weight in net.parameters()):
        raise InputError(f"the weights are {model.identity.dtype}, the C program computes in float32; open them so")
    return net


def _in_order(net: GPT2 | Llama) -> Iterator[tuple[str, Tensor]]:
    """Yield every weight in the order in which `open_parameters` of model.c takes them."""
    held = dict(net.named_parameters())
    yield "embed.weight", held["embed.weight"]
    if isinstance(net, GPT2):
        yield "pos_embed.weight", held["pos_embed.weight"]
    else:
        yield "frequencies", net.rotary.frequencies(torch.device("cpu"))
    up = "mlp.up" if isinstance(net, GPT2) else "mlp.gate_up"
    parts = ("ln1", "attn.qkv", "attn.out", "ln2", up, "mlp.down")
    maps = [f"blocks.{layer}.{part}" for layer in range(net.config.n_layers) for part in parts]
    for name in (*maps, "ln_final", "unembed"):
        for kind in ("weight", "bias"):
            if f"{name}.{kind}" in held:
                yield f"{name}.{kind}", held[f"{name}.{kind}"]


def _head(model: Model, vocabulary: Vocabulary, n_weight_bytes: int) -> bytes:
    """Return all that stands before the weights: header, checksum, tables of the tokenizer, and zeros up to the weights."""
    tables = vocabulary.to_bytes()
    tables_at = _HEADER.size + _CHECKSUM.size
    tables += bytes(-(tables_at + len(tables)) % _ALIGNMENT)
    weights_at = tables_at + len(tables)
    counts = (vocabulary.kind, len(vocabulary.tokens), len(vocabulary.merges), len(vocabulary.ranges))
    places = (weights_at, weights_at + n_weight_bytes)
    said = _HEADER.pack(_MAGIC, *_sizes(model), *_ends(model), *counts, *places)
    return said + _CHECKSUM.pack(_fnv1a(said + tables)) + tables


def _sizes(model: Model) -> tuple[int | float, ...]:
    """Return what the program must know of the network, in the order of its header."""
    c = model.config
    if isinstance(c, LlamaConfig):
        architecture, activation, has_qkv_bias, scaling = _LLAMA, "silu", c.qkv_bias, c.rope_scaling
    else:
        assert isinstance(c, GPT2Config)
        architecture, activation, has_qkv_bias, scaling = _GPT2, c.act_fn, True, None
    return (
        *(architecture, _ACTIVATIONS[activation]),
        *(c.n_layers, c.d_model, c.n_heads, c.kv_heads, c.d_head, c.d_mlp, c.d_vocab, c.n_ctx),
        *(c.tied_embeddings, has_qkv_bias),
        *(c.norm_eps, scaling.magnitude if scaling else 1.0),
    )


def _ends(model: Model) -> list[int]:
    """Return the token before every text, the number of stop tokens, and those, filled up to their places."""
    tokenizer = model.tokenizer
    if tokenizer is None:
        return [_NONE, 0] + [_NONE] * _MOST_STOPS
    stops = list(tokenizer.stop_ids)
    if len(stops) > _MOST_STOPS:
        raise InputError(f"{len(stops)} tokens stop this model and the C program knows {_MOST_STOPS}; declare fewer")
    start = tokenizer.document_start_id if tokenizer.adds_bos else None
    return [_NONE if start is None else start, len(stops), *stops] + [_NONE] * (_MOST_STOPS - len(stops))


def _fnv1a(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash: a checksum that takes one line of C."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
