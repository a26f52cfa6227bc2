"""A model on disk, understood but not yet read: its network's shape, where each weight comes from, its facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from glassbook.core.errors import ModelError
from glassbook.models import gemma, gpt2, gpt_neox, llama, mixtral  # noqa: F401 (importing an architecture registers it)
from glassbook.models.architectures import ARCHITECTURES, unknown_architecture
from glassbook.models.loading.dialect import Dialect, lay_out, make_config
from glassbook.models.loading.weights import Piece, WeightReader
from glassbook.models.transformer import Transformer
from glassbook.text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the weights before they are read.

    `origin` says where the model comes from, the same for all its precisions; `tokenizer` is a fingerprint. Our own
    folders have recorded `lineage` and `fingerprints` (by precision).
    """

    name: str
    origin: str = ""
    quantization: str = ""
    lineage: str = ""
    tokenizer: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An open model: `net` is on the meta device, `pieces` fill each of its parameters from `reader`."""

    net: Transformer
    pieces: Mapping[str, list[Piece]]
    reader: WeightReader
    facts: Facts
    tokenizer: Tokenizer | None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter, in the order of their names."""
        return parameter_shapes(self.net)

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reader.close()


class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of initial weights: on the meta device it draws nothing and imports torch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def architecture_of(net: Transformer) -> str:
    """Return the name under which the network's class is registered."""
    return next(name for name in ARCHITECTURES if ARCHITECTURES.find(name) is type(net))


def parameter_shapes(net: Transformer) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter, in the order of their names."""
    return {name: tuple(weight.shape) for name, weight in sorted(net.named_parameters())}


def draft(architecture: str, fields: Mapping[str, Any], reader: WeightReader, place: str) -> Transformer:
    """Return the network of these configuration fields on the meta device, where weights take no memory.

    Raises ModelError for an architecture that we do not have, or sizes that the file's tensors cannot bear out.
    """
    if architecture not in ARCHITECTURES:
        raise unknown_architecture(place, architecture, ARCHITECTURES)
    network = ARCHITECTURES.find(architecture)
    config = make_config(network.config_class, fields, place)  # type: ignore[attr-defined]
    if config.n_layers > len(reader.shapes):
        raise ModelError(
            f"{place} says {config.n_layers:,} layers and its weights are {len(reader.shapes):,} tensors in all"
        )
    n_experts = config.sizes.get("n_experts", 0)
    if n_experts > max((shape[0] for shape in reader.shapes.values() if shape), default=0):
        raise ModelError(f"{place} says {n_experts:,} experts and no tensor of its weights has so many rows")
    try:
        with torch.device("meta"), _Undrawn():
            net: Transformer = network(config)
    except (RuntimeError, OverflowError, TypeError) as fault:
        raise ModelError(f"{place} says sizes that no network can have; mend it or fetch the model again") from fault
    return net.requires_grad_(False).eval()


def understand(
    net: Transformer, dialect: Dialect, reader: WeightReader, facts: Facts, tokenizer: Tokenizer | None
) -> Checkpoint:
    """Return the checkpoint; raise ModelError where configuration, weights and tokenizer do not fit each other."""
    pieces = lay_out(dialect, reader, net.config, parameter_shapes(net))
    if tokenizer is not None and tokenizer.d_vocab > net.config.d_vocab:
        raise ModelError(
            f"'{reader.path}' embeds {net.config.d_vocab:,} tokens and its tokenizer knows {tokenizer.d_vocab:,}; "
            "they belong to different models"
        )
    if tokenizer is not None and not facts.tokenizer:
        # Before the weights take their memory: spelling out a vocabulary takes tens of megabytes for a moment.
        facts = replace(facts, tokenizer=tokenizer.fingerprint)
    return Checkpoint(net=net, pieces=pieces, reader=reader, facts=facts, tokenizer=tokenizer)
