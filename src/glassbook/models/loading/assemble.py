"""The one way that weights get into a network: every parameter allocated once, filled piece by piece."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from glassbook.core.devices import dtype_name
from glassbook.models.config import Config
from glassbook.models.identity import Fingerprint, Identity, fingerprint, lineage
from glassbook.models.int8 import fill_in_int8, hold_in_int8
from glassbook.models.loading.checkpoint import Checkpoint
from glassbook.models.loading.weights import Filler
from glassbook.models.model import Model

Progress = Callable[[str, int, int], None]


def assemble(
    checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device, progress: Progress | None = None
) -> Model:
    """Return the model of a checkpoint, in this precision on this device; raise ModelError for NaN in its weights.

    Beside the weights, a chunk of one tensor is in memory (of a model held in int8, one matrix in float32). Where our own
    folder did not record the fingerprint, the weights are hashed on a second thread while the next ones are read.
    """
    if dtype is torch.int8:
        return _assemble_int8(checkpoint, device, progress)
    net = checkpoint.net
    empty = {name: torch.empty(shape, dtype=dtype, device=device) for name, shape in checkpoint.shapes.items()}
    net.load_state_dict(empty, assign=True)
    recorded = checkpoint.facts.fingerprints.get(dtype_name(dtype))
    filler = Filler(checkpoint.reader, net.config.d_head)
    digest = Fingerprint()
    weights = sorted(net.named_parameters())
    done, total = 0, sum(weight.nbytes for _, weight in weights)
    with ThreadPoolExecutor(1) as second_thread:
        hashed = []
        for name, weight in weights:
            filler.fill(weight.detach(), checkpoint.pieces[name])
            if recorded is None:
                hashed.append(second_thread.submit(digest.add, name, weight))
            done += weight.nbytes
            if progress:
                progress(f"reading {checkpoint.facts.name}", done, total)
        for one in hashed:
            one.result()
    return Model(net, checkpoint.tokenizer, identify(checkpoint, recorded or digest.hexdigest(), dtype))


def _assemble_int8(checkpoint: Checkpoint, device: torch.device, progress: Progress | None) -> Model:
    """Return the model with its matrices held as int8, each quantized as soon as it is read."""
    net, filler = checkpoint.net, Filler(checkpoint.reader, checkpoint.net.config.d_head)
    # The largest first, while there is little beside its float32 form.
    shapes = sorted(checkpoint.shapes.items(), key=lambda named: -math.prod(named[1]))
    hold_in_int8(net)
    done, total = 0, sum(math.prod(shape) for _, shape in shapes)
    for name, shape in shapes:
        weight = torch.empty(shape)
        filler.fill(weight, checkpoint.pieces[name])
        fill_in_int8(net, name, weight.to(device))
        done += weight.numel()
        if progress:
            progress(f"reading {checkpoint.facts.name}", done, total)
    return Model(net, checkpoint.tokenizer, identify(checkpoint, fingerprint(net.named_parameters()), torch.int8))


def identify(checkpoint: Checkpoint, fingerprint: str, dtype: torch.dtype) -> Identity:
    """Return the identity of weights that were read from `checkpoint`.

    The fingerprint is of the weights as loaded, so each precision has its own; of the lineage see `lineage_of`.
    """
    facts = checkpoint.facts
    quantization = facts.quantization
    if dtype is torch.int8:
        quantization = f"{quantization}, held in int8" if quantization else "held in int8"
    return Identity(
        name=facts.name,
        fingerprint=fingerprint,
        lineage=facts.lineage or lineage_of(facts.origin, checkpoint.net.config, facts.tokenizer),
        quantization=quantization,
        dtype=dtype_name(dtype),
        tokenizer=facts.tokenizer,
    )


def lineage_of(origin: str, config: Config, tokenizer: str) -> str:
    """Return what all precisions and quantizations of one model share: a hash of its origin, shape and tokenizer.

    The origin is the model's name, `owner/` left out and its spelling evened out: the hub id it was opened by (with the
    revision, if one was given), else the name that the file or `config.json` gives it, where our table of known models
    translates the names that files are known to use. For a file without a name it is the checksum of its weights as
    they are stored. Our own folders record the lineage and hand it on. So a fine-tuned model whose folder still carries
    its parent's name is taken for the parent: the warning that a shared lineage brings is meant for that as well.
    """
    # How far a model is said to read does not change which model it is, and converters disagree about it.
    sizes = {name: size for name, size in config.sizes.items() if name not in ("n_ctx", "one")}
    return lineage(origin, sizes, tokenizer)
