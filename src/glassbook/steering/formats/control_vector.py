"""Control vectors: the GGUF files in which repeng and llama.cpp keep one direction a layer.

`direction.N` is added to the residual stream, at every token, where block N (counted from 0) ends: our `LN.resid_post`.
Both programs were measured to do so, see decisions/010. Nothing in such a file says which weights it was made on.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import FileFormatError, VectorError
from glassbook.core.sites import Site
from glassbook.files.gguf import GGUFFile, GGUFTensor, open_gguf
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.reading import damaged, shown
from glassbook.models.identity import Identity, tensor_bytes
from glassbook.models.loading.checkpoint import architecture_of
from glassbook.models.loading.formats import gguf, huggingface
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer
from glassbook.steering.vector_set import Vectors, VectorSet, each_vector
from glassbook.steering.vectors import SteeringVector

ARCHITECTURE = "controlvector"
HINT, COUNT = f"{ARCHITECTURE}.model_hint", f"{ARCHITECTURE}.layer_count"

_DIRECTION = re.compile(r"direction\.([0-9]{1,9})")


def load_control_vector(path: str | Path, model: Model, force: bool = False) -> VectorSet:
    """Return the directions of a control vector as a set for `model`, one at the end of each block that has one.

    Raises FileFormatError for a file that holds none or a damaged one, VectorError for one of another width or depth, or
    whose hint names another architecture; `force` lets the hint be wrong.
    """
    with open_gguf(path) as file:
        _check_head(file)
        hint = _check_hint(file, model, force)
        layers = _layers(file)
        made = {"recipe": "control vector", "file": file.path.name, "model_hint": hint}
        identity = Identity.unknown(f"a {hint} model" if hint else "a model")
        return VectorSet(
            tuple(
                SteeringVector(
                    site=Site("resid_post", layer),
                    values=_direction(file, tensor, model),
                    identity=identity,
                    force=force,
                    made=made,
                )
                for layer, tensor in layers.items()
            )
        )


def save_control_vector(path: str | Path, vectors: Vectors, model: Model) -> None:
    """Write vectors as a control vector that llama.cpp and repeng read: strengths go into the numbers, `resid_pre` moves down.

    Where layer l begins, layer l-1 has ended, so the two Sites are one place; vectors at one place are summed. Raises
    VectorError for whatever the format cannot say: operators other than add, chosen positions, any other Site.
    """
    directions: dict[int, Float[Tensor, " d_model"]] = {}
    for vector in each_vector(vectors):
        vector.check_fits(model)
        model.sites(vector.site)
        layer = _block_of(vector)
        values = vector.strength * vector.table[0].double().cpu()
        directions[layer] = directions[layer] + values if layer in directions else values
    metadata = {"general.architecture": ARCHITECTURE, HINT: hint_of(model), COUNT: len(directions)}
    write_gguf(path, metadata, [_entry(layer, values) for layer, values in directions.items()])


def hint_of(model: Model) -> str:
    """Return what a control vector for this model says of it: the architecture, as transformers names it."""
    if isinstance(model.net, Transformer):
        return architecture_of(model.net)
    config = getattr(getattr(model.net, "module", None), "config", None)
    return str(getattr(config, "model_type", ""))


def _names_of(model: Model) -> set[str]:
    """Return every name under which repeng or llama.cpp may know the architecture of `model`."""
    own = hint_of(model)
    tables: list[dict[str, Any]] = [dict(huggingface.DIALECTS), dict(gguf.DIALECTS)]
    known = {name for table in tables for name, dialect in table.items() if dialect.architecture == own}
    return known | {own}


def _check_head(file: GGUFFile) -> None:
    said = file.metadata.get("general.architecture")
    if said != ARCHITECTURE:
        raise FileFormatError(
            f"'{file.path}' is a GGUF file of the architecture '{shown(said)}' and no control vector; "
            f"give a file that repeng or llama.cpp's cvector-generator wrote"
        )
    count = file.metadata.get(COUNT, len(file.tensors))
    if type(count) is not int or count != len(file.tensors):
        raise damaged(file.path, f"it promises {shown(count)} directions and holds {len(file.tensors)}")
    if not file.tensors:
        raise FileFormatError(f"'{file.path}' holds no direction at all; train and export the control vector again")


def _check_hint(file: GGUFFile, model: Model, force: bool) -> str:
    """Return the architecture that the file was made for, empty where it does not say."""
    hint = file.metadata.get(HINT, "")
    if not isinstance(hint, str):
        raise damaged(file.path, f"its {HINT} is {shown(hint)}, which is no name")
    names = _names_of(model)
    if hint and hint not in names and not force:
        raise VectorError(
            f"'{file.path}' was made for a model of the type '{shown(hint)}' and {model.identity.name} is of the type "
            f"'{hint_of(model)}'; open the model that it was made for, or use --force (force=True)"
        )
    return shown(hint)


def _layers(file: GGUFFile) -> dict[int, GGUFTensor]:
    """Return the tensors by their block, in the order of the file."""
    found: dict[int, GGUFTensor] = {}
    for name, tensor in file.tensors.items():
        match = _DIRECTION.fullmatch(name)
        if match is None:
            raise damaged(file.path, f"tensor '{shown(name)}' is no direction.N")
        layer = int(match[1])
        if layer in found:
            raise damaged(file.path, f"it has two directions for block {layer}")
        found[layer] = tensor
    return found


def _direction(file: GGUFFile, tensor: GGUFTensor, model: Model) -> Float[Tensor, " d_model"]:
    width, n_layers, layer = model.config.sizes["d_model"], model.config.n_layers, int(tensor.name.split(".")[1])
    if tensor.kind != "F32" or len(tensor.shape) != 1:
        shape = " x ".join(map(str, tensor.shape))
        raise damaged(file.path, f"{shown(tensor.name)} is {tensor.kind} of shape {shape}, not one row of F32")
    if tensor.row != width:
        raise VectorError(
            f"'{file.path}' has width {tensor.row} and {model.identity.name} has width {width}; "
            f"open the model that it was made for"
        )
    if layer >= n_layers:
        raise VectorError(
            f"'{file.path}' has a direction for block {layer} and the blocks of {model.identity.name} run from 0 to "
            f"{n_layers - 1}; open the model that it was made for"
        )
    values = file.dequantize(tensor)
    if not np.isfinite(values).all():
        raise damaged(file.path, f"{tensor.name} holds NaN or infinite numbers")
    return torch.from_numpy(values)


def _block_of(vector: SteeringVector) -> int:
    """Return the block where the vector acts; raise VectorError where a control vector cannot say the same."""
    if vector.operator != "add" or vector.positions != "all" or vector.needs_bos or len(vector.table) != 1:
        start = ", behind the document-start token" if vector.needs_bos else ""
        raise VectorError(
            f"the vector at {vector.site} acts by {vector.operator} at {vector.positions}{start}, and a control vector is "
            f"added at every token of any prompt; keep it as safetensors, or change it with vector.with_(...)"
        )
    site, layer = vector.site, vector.site.layer
    if site.part is not None or layer is None or site.name not in ("resid_pre", "resid_post"):
        raise VectorError(
            f"the vector is at {site}, and a control vector acts on the residual stream where blocks end; "
            f"make it at a Site such as L6.resid_post, or keep it as safetensors"
        )
    block = layer if site.name == "resid_post" else layer - 1
    if block < 1:
        raise VectorError(
            f"the vector is at {site}, and a control vector has no direction below the end of block 1; "
            f"make it at L1.resid_post or above, or keep it as safetensors"
        )
    return block


def _entry(layer: int, values: Float[Tensor, " d_model"]) -> tuple[str, str, tuple[int, ...], memoryview]:
    row = values.float()
    if not torch.isfinite(row).all():
        raise VectorError(f"the direction of block {layer} is too long for float32; give it a smaller strength")
    return f"direction.{layer}", "F32", tuple(row.shape), tensor_bytes(row)
