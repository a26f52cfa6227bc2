"""What every export shares: a folder that is whole or not there, float32 numbers, and kinds that a format has no word for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.files.atomic import atomic_folder
from glassbook.files.safetensors import write_safetensors
from glassbook.models.identity import tensor_bytes


def check_new(path: Path) -> None:
    """Raise InputError where something is at a path already that a new folder would take the place of."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"'{path}' is there already and not empty; name another folder")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes its place when the block ends well; raise InputError where something is there."""
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as unfinished:
        yield unfinished


def write_numbers(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in float32 as safetensors; raise DictionaryError where one is not finite."""
    write_safetensors(
        path, [(name, "F32", tuple(value.shape), tensor_bytes(value)) for name, value in as_float32(tensors).items()]
    )


def as_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are written; raise DictionaryError where one is not finite in float32."""
    found = {name: value.detach().to(torch.float32).contiguous() for name, value in tensors.items()}
    for name, value in found.items():
        if not torch.isfinite(value).all():
            raise DictionaryError(f"'{name}' holds numbers that are not finite in float32; nothing is written")
    return found


def no_word_for(dictionary: Dictionary, format_name: str, has: str) -> DictionaryError:
    """Return the error for a kind that a format has no word for."""
    inner = dictionary.settings.get("activation") if dictionary.kind.endswith("transcoder") else None
    what = f"{dictionary.kind} with {inner} features" if inner else f"{dictionary.kind} dictionary"
    return DictionaryError(f"{format_name} has no word for a {what}; it has {has}")
