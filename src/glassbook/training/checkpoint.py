"""Checkpoints: all that a training depends on, written whole or not at all, the last two kept."""

import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.files.atomic import atomic_folder
from glassbook.files.manifest import verify_manifest, write_manifest
from glassbook.files.safetensors import open_safetensors, write_safetensors
from glassbook.models.identity import tensor_bytes

KEPT = 2
_FILE = "state.safetensors"
_NAME = re.compile(r"step-(\d{9})")
_STORED = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_READ = {name: dtype for dtype, name in _STORED.items()}


class CheckpointWarning(UserWarning):
    """A checkpoint was passed over, because it is not as it was written."""


def write_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor]) -> Path:
    """Write the tensors as the checkpoint of `step`, remove all but the last two up to it, and return its folder."""
    target = folder / f"step-{step:09d}"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as unfinished:
        entries = [(name, _STORED[value.dtype], tuple(value.shape), _content(value)) for name, value in tensors.items()]
        write_safetensors(unfinished / _FILE, entries)
        write_manifest(unfinished, {"kind": "checkpoint", "step": step})
    steps = [one for one in checkpoint_steps(folder) if one <= step]
    for old in set(checkpoint_steps(folder)) - set(steps[-KEPT:]):
        shutil.rmtree(folder / f"step-{old:09d}")
    return target


def read_checkpoint(folder: Path) -> dict[str, Tensor] | None:
    """Return the tensors of the last checkpoint that is as it was written; None where none was ever finished.

    A later one that is damaged is passed over with a CheckpointWarning. Raises FileFormatError where all of them are.
    """
    steps = checkpoint_steps(folder)
    for step in reversed(steps):
        place = folder / f"step-{step:09d}"
        try:
            faults = verify_manifest(place)
            if not faults:
                return _read(place / _FILE)
        except FileFormatError as fault:
            faults = [str(fault)]
        warnings.warn(f"the checkpoint '{place}' is passed over: {faults[0]}", CheckpointWarning, stacklevel=3)
    if steps:
        raise FileFormatError(f"no checkpoint in '{folder}' is as it was written; remove the folder to begin anew")
    return None


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of which there are checkpoints, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)))


def _content(value: Tensor) -> Iterator[memoryview]:
    yield tensor_bytes(value.detach())


def _read(path: Path) -> dict[str, Tensor]:
    tensors = {}
    with open_safetensors(path) as file:
        for name, info in file.tensors.items():
            value = torch.empty(info.shape, dtype=_READ[info.dtype])
            if value.numel():
                file.read_into(info, value.view(-1).view(torch.uint8).numpy().data)
            tensors[name] = value
    return tensors
