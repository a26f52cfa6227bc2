"""Captured values and steering vectors as safetensors files that other people's programs read too."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from glassbook.core.errors import FileFormatError, SiteError, VectorError
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


_FIELDS = _VectorFacts.__struct_fields__


def tensor_entries(tensors: Mapping[str, Tensor]) -> list[Entry]:
    """Return tensors as `write_safetensors` and a Run take them."""
    return [(name, _STORED[value.dtype], tuple(value.shape), tensor_bytes(value)) for name, value in tensors.items()]


def metadata_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return facts as the metadata of a safetensors file, which holds text alone: each value as JSON."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def save_vector(path: str | Path, vectors: Vectors) -> None:
    """Write a vector, or a set of them, to a safetensors file, all or nothing."""
    if isinstance(vectors, VectorSet):
        facts: dict[str, Any] = {"vectors": [_facts(vector) for vector in vectors]}
        tensors = {f"values.{number}": vector.values for number, vector in enumerate(vectors)}
        form = SET_FORMAT
    else:
        facts, tensors, form = _facts(vectors), {"values": vectors.values}, VECTOR_FORMAT
    entries = tensor_entries({name: values.float() for name, values in tensors.items()})
    write_safetensors(path, entries, {"format": form} | metadata_of(facts))


def load_vector(path: str | Path) -> Vectors:
    """Return the vector or the set that `save_vector` wrote; raise FileFormatError for a file that holds neither."""
    with open_safetensors(path) as file:
        form = file.metadata.get("format")
        if form == VECTOR_FORMAT:
            return _vector(file, {key: _json(file, key) for key in _FIELDS if key in file.metadata}, "values")
        if form != SET_FORMAT:
            raise _foreign(file)
        listed = _json(file, "vectors")
        if not isinstance(listed, list) or len(listed) != len(file.tensors):
            raise damaged(file.path, f"it lists other vectors than the {len(file.tensors)} that it holds")
        vectors = tuple(_vector(file, facts, f"values.{number}") for number, facts in enumerate(listed))
        with _naming(file):
            return VectorSet(vectors)


def _facts(vector: SteeringVector) -> dict[str, Any]:
    """Return everything that says what a vector is, without its numbers."""
    facts = _VectorFacts(
        site=str(vector.site),
        operator=vector.operator,
        positions=vector.positions,
        strength=vector.strength,
        needs_bos=vector.needs_bos,
        identity=vector.identity,
        made=dict(vector.made),
    )
    return dict(msgspec.to_builtins(facts))


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
    fields = {name: getattr(facts, name) for name in _FIELDS}
    with _naming(file):
        return SteeringVector(**fields | {"site": Site.parse(facts.site), "values": torch.from_numpy(file.read(info))})


@contextmanager
def _naming(file: SafetensorsFile) -> Iterator[None]:
    """Turn what is wrong with a vector into what is wrong with its file."""
    try:
        yield
    except (SiteError, VectorError) as fault:
        raise FileFormatError(f"'{file.path}' holds no vector that can be used: {fault}") from fault


def _foreign(file: SafetensorsFile) -> FileFormatError:
    return FileFormatError(
        f"'{file.path}' holds no steering vector of Glassbook; give a file that 'glassbook steer' wrote"
    )


def _damaged_facts(file: SafetensorsFile, fault: Exception) -> FileFormatError:
    return FileFormatError(f"the metadata of '{file.path}' is damaged ({fault}); make the vector again")
