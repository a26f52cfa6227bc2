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
from glassbook.files.reading import damaged
from glassbook.files.safetensors import SafetensorsFile, open_safetensors, write_safetensors
from glassbook.models.identity import Identity, tensor_bytes
from glassbook.steering.operators import Operator, Positions
from glassbook.steering.vector_set import Vectors, VectorSet
from glassbook.steering.vectors import SteeringVector

Entry = tuple[str, str, tuple[int, ...], memoryview]

VECTOR_FORMAT = "glassbook-vector/1"
SET_FORMAT = "glassbook-vectors/1"

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
    return {"format": VECTOR_FORMAT} | metadata_of(msgspec.to_builtins(_facts(vector)))


def _facts(vector: SteeringVector) -> _VectorFacts:
    return _VectorFacts(
        site=str(vector.site),
        operator=vector.operator,
        positions=vector.positions,
        strength=vector.strength,
        needs_bos=vector.needs_bos,
        identity=vector.identity,
        made=dict(vector.made),
    )


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
        if file.metadata.get("format") != VECTOR_FORMAT:
            raise _foreign(file)
        facts = {key: _json(file, key) for key in _VectorFacts.__struct_fields__ if key in file.metadata}
        return _vector(file, facts, "values")


def save_vectors(path: str | Path, vectors: Vectors) -> None:
    """Write a vector or a set of them to a safetensors file, all or nothing."""
    if isinstance(vectors, SteeringVector):
        return save_vector(path, vectors)
    tensors = {f"values.{number}": vector.values.float() for number, vector in enumerate(vectors)}
    facts = [msgspec.to_builtins(_facts(vector)) for vector in vectors]
    return write_safetensors(path, tensor_entries(tensors), {"format": SET_FORMAT} | metadata_of({"vectors": facts}))


def load_vectors(path: str | Path) -> Vectors:
    """Return the vector or the set that `save_vectors` wrote; raise FileFormatError for a file that holds neither."""
    with open_safetensors(path) as file:
        if file.metadata.get("format") == SET_FORMAT:
            listed = _json(file, "vectors")
            if not isinstance(listed, list) or len(listed) != len(file.tensors):
                raise damaged(file.path, f"it lists other vectors than the {len(file.tensors)} that it holds")
            return VectorSet(tuple(_vector(file, facts, f"values.{i}") for i, facts in enumerate(listed)))
    return load_vector(path)


def _json(file: SafetensorsFile, key: str) -> Any:
    try:
        return msgspec.json.decode(file.metadata.get(key, ""))
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise _damaged_facts(file, fault) from fault


def _vector(file: SafetensorsFile, said: Any, name: str) -> SteeringVector:
    """Return the vector whose numbers stand under `name`."""
    info = file.tensors.get(name)
    if info is None or info.dtype != "F32" or len(info.shape) not in (1, 2):
        raise _foreign(file)
    try:
        facts = msgspec.convert(said, type=_VectorFacts)
    except msgspec.MsgspecError as fault:
        raise _damaged_facts(file, fault) from fault
    fields = {name: getattr(facts, name) for name in _VectorFacts.__struct_fields__}
    return SteeringVector(**fields | {"site": Site.parse(facts.site), "values": torch.from_numpy(file.read(info))})


def _foreign(file: SafetensorsFile) -> FileFormatError:
    return FileFormatError(
        f"'{file.path}' holds no steering vector of Glassbook; give a file that 'glassbook steer' wrote"
    )


def _damaged_facts(file: SafetensorsFile, fault: Exception) -> FileFormatError:
    return FileFormatError(f"the metadata of '{file.path}' is damaged ({fault}); make the vector again")
