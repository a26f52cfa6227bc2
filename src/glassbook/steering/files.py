"""Captured values and steering vectors as safetensors files that other people's programs read too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.core.sites import Site
from glassbook.files.safetensors import open_safetensors, write_safetensors
from glassbook.models.identity import Identity, tensor_bytes
from glassbook.steering.operators import Operator, Positions
from glassbook.steering.vectors import SteeringVector

Entry = tuple[str, str, tuple[int, ...], memoryview]

VECTOR_FORMAT = "glassbook-vector/1"

_STORED = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


class _VectorFacts(msgspec.Struct, frozen=True):
    """What the metadata of a vector's file says, each field the JSON of its value."""

    site: str
    operator: Operator
    positions: Positions
    strength: float
    needs_bos: bool
    identity: Identity
    made: dict[str, Any]


def tensor_entries(tensors: Mapping[str, Tensor]) -> list[Entry]:
    """Return tensors as `write_safetensors` and a Run take them."""
    return [(name, _STORED[value.dtype], tuple(value.shape), tensor_bytes(value)) for name, value in tensors.items()]


def vector_metadata(vector: SteeringVector) -> dict[str, str]:
    """Return everything that says what a vector is, for its file's metadata."""
    facts = _VectorFacts(
        site=str(vector.site),
        operator=vector.operator,
        positions=vector.positions,
        strength=vector.strength,
        needs_bos=vector.needs_bos,
        identity=vector.identity,
        made=dict(vector.made),
    )
    return {"format": VECTOR_FORMAT} | metadata_of(msgspec.to_builtins(facts))


def metadata_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return facts as the metadata of a safetensors file, which holds text alone: each value as JSON."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def save_vector(path: str | Path, vector: SteeringVector) -> None:
    """Write a steering vector to a safetensors file, all or nothing."""
    write_safetensors(path, vector_entries(vector), vector_metadata(vector))


def vector_entries(vector: SteeringVector) -> list[Entry]:
    """Return the numbers of a vector as a file holds them, in float32."""
    return tensor_entries({"values": vector.values.float()})


def load_vector(path: str | Path) -> SteeringVector:
    """Return the steering vector that `save_vector` wrote; raise FileFormatError for a file that holds none."""
    with open_safetensors(path) as file:
        said, info = file.metadata, file.tensors.get("values")
        if said.get("format") != VECTOR_FORMAT or info is None or info.dtype != "F32" or len(info.shape) not in (1, 2):
            raise FileFormatError(
                f"'{path}' holds no steering vector of Glassbook; give a file that 'glassbook steer' wrote"
            )
        try:
            known = {key: msgspec.json.decode(said[key]) for key in _VectorFacts.__struct_fields__ if key in said}
            facts = msgspec.convert(known, type=_VectorFacts)
        except msgspec.MsgspecError as fault:
            raise FileFormatError(f"the metadata of '{path}' is damaged ({fault}); make the vector again") from fault
        values = torch.from_numpy(file.read(info))
    fields = {name: getattr(facts, name) for name in _VectorFacts.__struct_fields__}
    return SteeringVector(**fields | {"site": Site.parse(facts.site), "values": values})
