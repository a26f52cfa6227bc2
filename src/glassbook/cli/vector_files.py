"""Vectors from files of every kind: control vectors of repeng and llama.cpp, and our own."""

from pathlib import Path

from glassbook.files.gguf import MAGIC
from glassbook.models.model import Model
from glassbook.sources.folder import open_binary
from glassbook.steering.files import load_vector
from glassbook.steering.formats.control_vector import load_control_vector
from glassbook.steering.vector_set import Vectors


def read_vectors(path: Path, model: Model, force: bool = False) -> Vectors:
    """Return the vector or set of a file, known by its first bytes; `force` lets it belong to another model.

    Raises FileFormatError for a file that holds none, VectorError for a control vector that does not fit `model`.
    """
    if _begins_with(path, MAGIC):
        return load_control_vector(path, model, force)
    return load_vector(path).with_(force=force)


def _begins_with(path: Path, magic: bytes) -> bool:
    with open_binary(path) as file:
        return file.read(len(magic)) == magic
