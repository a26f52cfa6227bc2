"""Which weights these are: a fingerprint of their values, and the lineage that other precisions of them share."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a Run, a vector or a dictionary records about the weights it was made on.

    Equal fingerprints are equal weights, bit for bit. Equal lineages are one model in another
    quantization or precision.
    """

    name: str
    fingerprint: str
    lineage: str
    quantization: str
    dtype: str
    tokenizer: str

    @property
    def label(self) -> str:
        """Return how a page names these weights, e.g. `SmolLM2-135M-Instruct, dequantized Q4_1`."""
        return f"{self.name}, {self.quantization}" if self.quantization else self.name

    @classmethod
    def unknown(cls, name: str) -> "Identity":
        """Return the identity of weights that nobody recorded: without lineage, nothing can be held against it."""
        return cls(name=name, fingerprint="", lineage="", quantization="", dtype="", tokenizer="")

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain data."""
        return asdict(self)


class Fingerprint:
    """The SHA-256 of parameters that are added one by one, in the order of their names."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, value: Tensor) -> None:
        """Add one parameter: its name, precision, shape and values."""
        self._digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        self._digest.update(tensor_bytes(value.detach()))

    def hexdigest(self) -> str:
        """Return the fingerprint of what was added so far."""
        return self._digest.hexdigest()


def fingerprint(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """Return the SHA-256 of all parameters: names, precisions, shapes and values, in the order of their names."""
    digest = Fingerprint()
    for name, value in sorted(parameters, key=lambda pair: pair[0]):
        digest.add(name, value)
    return digest.hexdigest()


def lineage(origin: str, sizes: dict[str, int], tokenizer: str) -> str:
    """Return the identity of a model whatever its precision: where it comes from, its shape, its tokenizer."""
    shape = ",".join(f"{name}={size}" for name, size in sorted(sizes.items()))
    return hashlib.sha256(f"{origin}|{shape}|{tokenizer}".encode()).hexdigest()


def tensor_bytes(value: Tensor) -> memoryview:
    """Return the values of a tensor as bytes, without a copy where it is contiguous and on the CPU."""
    flat = value.contiguous().cpu().view(-1)
    return flat.view(torch.uint8).numpy().data
