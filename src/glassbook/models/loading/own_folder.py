"""Our own folder: `model.safetensors` in our names, `config.json`, the tokenizer's files, and a manifest written last.

It is trusted when its manifest, its small files and the table of its tensors are as they were written.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from glassbook.core.devices import DTYPES, dtype_name
from glassbook.core.errors import FileFormatError, InputError, ModelError
from glassbook.files.atomic import atomic_folder, write_json
from glassbook.files.hashes import sha256_bytes, sha256_file
from glassbook.files.manifest import read_manifest, write_manifest
from glassbook.files.safetensors import write_safetensors
from glassbook.models.identity import Fingerprint, tensor_bytes
from glassbook.models.loading.assemble import Progress, identify, lineage_of
from glassbook.models.loading.checkpoint import Checkpoint, architecture_of, parameter_shapes
from glassbook.models.loading.weights import Filler, is_finite
from glassbook.models.model import Model
from glassbook.models.transformer import Transformer
from glassbook.text.formats.huggingface import save_folder
from glassbook.text.tokenizer import Tokenizer

FORMAT = "glassbook-model/1"
WEIGHTS_NAME = "model.safetensors"
_LENGTH_BYTES = 8
_STORED = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of an identity that does not depend on the precision."""

    name: str
    quantization: str
    lineage: str
    tokenizer: str


class Description(msgspec.Struct, frozen=True):
    """What `config.json` of our own folder says."""

    architecture: str
    config: dict[str, Any]
    dtype: str
    identity: Named
    fingerprints: dict[str, str]


def is_ours(said: Mapping[str, Any]) -> bool:
    """Return whether a `config.json` is of our own form."""
    return str(said.get("format", "")).startswith("glassbook-model/")


def describe(said: Mapping[str, Any], place: str) -> Description:
    """Return the description; raise FileFormatError where it is incomplete or of a later version."""
    if said.get("format") != FORMAT:
        raise FileFormatError(
            f"{place} has the format '{said.get('format')}', this version reads '{FORMAT}'; update Glassbook"
        )
    try:
        return msgspec.convert(dict(said), type=Description)
    except msgspec.ValidationError as fault:
        raise FileFormatError(f"{place} is damaged ({fault}); make the folder again") from fault


def check_folder(folder: Path) -> None:
    """Raise FileFormatError where the folder is unfinished or altered.

    Hashing all weights would take longer than reading them; here their size and the table of tensors are compared, and
    `verify_manifest` compares every byte.
    """
    manifest = read_manifest(folder)
    for name, record in manifest.files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else -1
        if size != record.bytes or (name != WEIGHTS_NAME and sha256_file(path) != record.sha256):
            raise FileFormatError(f"'{path}' is not as it was written; make the folder again")
    if WEIGHTS_NAME not in manifest.files or manifest.extra.get("weights_header") != header_checksum(
        folder / WEIGHTS_NAME
    ):
        raise FileFormatError(f"'{folder / WEIGHTS_NAME}' is not as it was written; make the folder again")


def header_checksum(path: Path) -> str:
    """Return the SHA-256 of a safetensors file's length and header."""
    with open(path, "rb") as file:
        length = file.read(_LENGTH_BYTES)
        size = min(int.from_bytes(length, "little"), path.stat().st_size)
        return sha256_bytes(length + file.read(size))


@dataclass(frozen=True)
class _Contents:
    """What a folder is written from: `read` gives one parameter at a time, so that a conversion holds no more."""

    net: Transformer
    dtype: torch.dtype
    read: Callable[[str], Tensor]
    tokenizer: Tokenizer | None
    identify: Callable[[str], dict[str, str]]


def save_model(model: Model, folder: str | Path) -> None:
    """Write a model to `folder` in our own form, all or nothing; `open_model(folder)` gives the same bits back.

    Weights that are no longer those that were opened, because they were trained, become a model of its own lineage.
    Raises InputError for a precision that is not stored, ModelError for NaN.
    """

    def name_by(fingerprint: str) -> dict[str, str]:
        facts = model.identity.to_dict()
        if fingerprint != model.identity.fingerprint:
            facts["lineage"] = lineage_of(fingerprint, model.config, model.identity.tokenizer)
        return facts

    if model.dtype not in _STORED or model.identity.dtype == "int8":
        raise InputError(f"weights in {model.identity.dtype} are not stored; open them in {' or '.join(DTYPES)}")
    parameters = dict(model.net.named_parameters())
    _write(Path(folder), _Contents(model.transformer, model.dtype, parameters.__getitem__, model.tokenizer, name_by))


def convert(checkpoint: Checkpoint, folder: Path, progress: Progress | None = None) -> None:
    """Write a checkpoint to `folder` in our own form and float32, one parameter at a time.

    float32 because a dequantized weight is a sum of products that no 16-bit number holds.
    """
    filler = Filler(checkpoint.reader, checkpoint.net.config.d_head)
    shapes = checkpoint.shapes
    total, done = sum(torch.Size(shape).numel() for shape in shapes.values()) * 4, 0

    def read(name: str) -> Tensor:
        nonlocal done
        weight = torch.empty(shapes[name], dtype=torch.float32)
        filler.fill(weight, checkpoint.pieces[name])
        done += weight.nbytes
        if progress:
            progress(f"converting {checkpoint.facts.name}", done, total)
        return weight

    def name_by(fingerprint: str) -> dict[str, str]:
        return identify(checkpoint, fingerprint, torch.float32).to_dict()

    _write(folder, _Contents(checkpoint.net, torch.float32, read, checkpoint.tokenizer, name_by))


def _write(folder: Path, contents: _Contents) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as unfinished:
        weights = unfinished / WEIGHTS_NAME
        fingerprints = _write_weights(weights, contents)
        config = _describe(contents, fingerprints)
        if contents.tokenizer is not None:
            save_folder(contents.tokenizer, unfinished)
        write_json(unfinished / "config.json", config)
        write_manifest(unfinished, {"kind": "model", "weights_header": header_checksum(weights)})


def _write_weights(path: Path, contents: _Contents) -> dict[str, str]:
    """Write the weights and return their fingerprint in every precision that can hold them."""
    digests = {contents.dtype: Fingerprint()} | {dtype: Fingerprint() for dtype in DTYPES.values()}

    def content(name: str) -> Iterator[memoryview]:
        weight = contents.read(name).detach().cpu().contiguous()
        if not is_finite(weight):
            raise ModelError(f"'{name}' holds NaN or infinity, so the model is not saved; go back to sound weights")
        yield tensor_bytes(weight)
        for dtype in list(digests):
            loaded = weight.to(dtype)
            if is_finite(loaded):
                digests[dtype].add(name, loaded)
            else:
                del digests[dtype]

    kind = _STORED[contents.dtype]
    write_safetensors(
        path, [(name, kind, shape, content(name)) for name, shape in parameter_shapes(contents.net).items()]
    )
    return {dtype_name(dtype): digest.hexdigest() for dtype, digest in digests.items()}


def _describe(contents: _Contents, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    facts = contents.identify(fingerprints[dtype_name(contents.dtype)])
    return {
        "format": FORMAT,
        "architecture": architecture_of(contents.net),
        "config": contents.net.config.to_dict(),
        "dtype": dtype_name(contents.dtype),
        "identity": {key: facts[key] for key in ("name", "quantization", "lineage", "tokenizer")},
        "fingerprints": dict(fingerprints),
    }
