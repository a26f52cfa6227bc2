"""Dictionaries in folders of our own: `dictionary.json` says what it is, `dictionary.safetensors` holds its numbers.

A dictionary in a folder takes activations as the model has them. Never a pickle: nothing in a folder is run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from glassbook.core.devices import as_dtype, dtype_name
from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.features.dictionary import Dictionary, make_dictionary
from glassbook.features.faults import DictionaryError
from glassbook.files.atomic import atomic_folder, write_json
from glassbook.files.hashes import sha256_file
from glassbook.files.reading import damaged
from glassbook.files.safetensors import SafetensorsFile, open_safetensors, write_safetensors
from glassbook.models.identity import tensor_bytes

FORMAT = "glassbook-dictionary/1"
RECORD, NUMBERS = "dictionary.json", "dictionary.safetensors"

_STORED = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_READ = {name: dtype for dtype, name in _STORED.items()}


class _Record(msgspec.Struct, frozen=True):
    """What `dictionary.json` says."""

    format: str
    kind: str
    d_in: int
    n_features: int
    d_out: int
    settings: dict[str, Any]
    facts: dict[str, Any]
    sha256: str


def save_dictionary(
    folder: str | Path,
    dictionary: Dictionary,
    facts: Mapping[str, Any] | None = None,
    dtype: str | torch.dtype = "float32",
) -> Path:
    """Write a dictionary into a folder, all or nothing, and return the folder; `facts` are added to its own.

    `dtype` is the precision of the weights; thresholds stay in float32. Raises DictionaryError where a number is not finite in
    that precision.
    """
    path, wanted = Path(folder), as_dtype(dtype)
    kept = _float32_names(dictionary)
    tensors = {
        name: value.detach() if name in kept else value.detach().to(wanted)
        for name, value in dictionary.state_dict().items()
    }
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise DictionaryError(
                f"'{name}' holds numbers that are not finite in {dtype_name(wanted)}; nothing is written"
            )
    entries = [(name, _STORED[value.dtype], tuple(value.shape), tensor_bytes(value)) for name, value in tensors.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(path) as unfinished:
        write_safetensors(unfinished / NUMBERS, entries)
        known = {"d_in": dictionary.d_in, "n_features": dictionary.n_features, "d_out": dictionary.d_out}
        record = {
            "format": FORMAT,
            "kind": dictionary.kind,
            **known,
            "settings": dictionary.settings,
            "facts": dictionary.facts | dict(facts or {}),
            "sha256": sha256_file(unfinished / NUMBERS),
        }
        write_json(unfinished / RECORD, record)
    return path


def load_dictionary(folder: str | Path, dtype: str | torch.dtype = "float32") -> Dictionary:
    """Return the dictionary that `save_dictionary` wrote, in the precision asked for.

    Raises FileFormatError for a folder that holds none, or one that is damaged.
    """
    path = Path(folder)
    record = _read_record(path / RECORD)
    with open_safetensors(path / NUMBERS) as file:
        _check_size(file, record)
        if sha256_file(path / NUMBERS) != record.sha256:
            raise damaged(path / NUMBERS, "its checksum is not the one that was written beside it")
        try:
            made = make_dictionary(record.kind, record.d_in, record.n_features, record.d_out, record.settings)
        except (GlassbookError, TypeError) as fault:
            raise damaged(path / RECORD, str(fault)) from fault
        made.load_state_dict(_numbers(file, made))
    made.facts = record.facts
    return made.to(as_dtype(dtype)).requires_grad_(False)


def read_facts(folder: str | Path) -> dict[str, Any]:
    """Return what is known of the dictionary in a folder, its numbers unread; raise FileFormatError where it holds none."""
    return _read_record(Path(folder) / RECORD).facts


def is_dictionary(folder: str | Path) -> bool:
    """Return whether a folder holds a dictionary, to judge by its files' names."""
    return all((Path(folder) / name).is_file() for name in (RECORD, NUMBERS))


def _read_record(path: Path) -> _Record:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=_Record)
    except OSError as fault:
        raise FileFormatError(
            f"'{path.parent}' holds no dictionary ({(fault.strerror or str(fault)).lower()}); give a folder that "
            "'glassbook features train' wrote"
        ) from fault
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise damaged(path, f"it does not say what the dictionary is ({fault})") from fault
    if record.format != FORMAT:
        raise damaged(path, f"its format is '{record.format[:40]}' and not {FORMAT}")
    return record


def _check_size(file: SafetensorsFile, record: _Record) -> None:
    """Raise FileFormatError where the file is too small for what the record claims, before any of it is allocated."""
    claimed = record.n_features * (record.d_in + record.d_out) * torch.float16.itemsize
    if min(record.n_features, record.d_in, record.d_out) < 1 or claimed > file.size:
        raise damaged(file.path, f"it has {file.size:,} bytes for {record.n_features:,} features of {record.d_in:,}")


def _numbers(file: SafetensorsFile, made: Dictionary) -> dict[str, Tensor]:
    """Return the tensors of the file; raise FileFormatError unless they are the dictionary's own and finite."""
    expected = made.state_dict()
    if file.tensors.keys() != expected.keys():
        wrong = sorted(file.tensors.keys() ^ expected.keys())
        raise damaged(file.path, f"its tensors are not those of a {made.kind} dictionary ({', '.join(wrong[:4])})")
    found = {}
    for name, info in file.tensors.items():
        if info.dtype not in _READ or info.shape != tuple(expected[name].shape):
            raise damaged(file.path, f"'{name}' is {info.dtype} of shape {info.shape}")
        value = torch.empty(info.shape, dtype=_READ[info.dtype])
        file.read_into(info, value.view(-1).view(torch.uint8).numpy().data)
        if not torch.isfinite(value).all():
            raise damaged(file.path, f"'{name}' holds NaN or infinite numbers")
        found[name] = value
    return found


def _float32_names(dictionary: Dictionary) -> set[str]:
    """Return the names in the state of what stays in float32."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in dictionary.named_modules()
        if isinstance(module, Dictionary)
        for name in module.float32
    }
