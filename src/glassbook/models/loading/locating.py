"""From a path to an open checkpoint: a folder of either form, a GGUF file, a safetensors file beside `config.json`."""

from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError, ModelError
from glassbook.files.gguf import open_gguf
from glassbook.files.hashes import hash_json, sha256_file
from glassbook.files.safetensors import open_safetensors
from glassbook.models.loading import own_folder
from glassbook.models.loading.checkpoint import Checkpoint, Facts, draft, parameter_shapes, understand
from glassbook.models.loading.dialect import own_names
from glassbook.models.loading.formats import gguf, huggingface
from glassbook.models.loading.naming import display_name, origin_of
from glassbook.models.loading.own_folder import WEIGHTS_NAME
from glassbook.models.loading.weights import GGUFReader, SafetensorsReader
from glassbook.text.formats.gguf import read_metadata
from glassbook.text.formats.huggingface import read_folder
from glassbook.text.tokenizer import Tokenizer

INDEX_NAME = "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


def open_path(path: Path, stated: str = "") -> Checkpoint:
    """Return the open checkpoint at `path`, called `stated` where its name is known from elsewhere.

    Raises ModelError or FileFormatError for what is no model, is damaged, or is of an architecture we do not have.
    """
    if path.is_dir():
        return _open_folder(path, [], stated)
    if path.suffix == ".gguf":
        return _open_gguf(path)
    if path.suffix == ".safetensors":
        return _open_folder(path.parent, [path], stated)
    if path.suffix in _PICKLED:
        raise ModelError(_pickled(path))
    raise ModelError(f"'{path}' is neither a folder nor a .gguf or .safetensors file; give one of these")


def _open_gguf(path: Path) -> Checkpoint:
    file = open_gguf(path)
    dialect = gguf.find_dialect(file)
    fields = gguf.read_fields(dialect, file)
    stated = gguf.name_of(file.metadata)
    facts = Facts(
        name=display_name(stated) or path.stem,
        origin=origin_of(stated) or f"weights {sha256_file(path)}",
        quantization=gguf.quantization_of(file),
    )
    has_tokenizer = "tokenizer.ggml.model" in file.metadata
    tokenizer = read_metadata(file.metadata, f"'{path}'") if has_tokenizer else None
    reader = GGUFReader(file)
    net = draft(dialect.architecture, fields, reader, f"'{path}'")
    return understand(net, dialect, reader, facts, tokenizer)


def _open_folder(folder: Path, weights: list[Path], stated: str) -> Checkpoint:
    place = f"'{folder / 'config.json'}'"
    whole = _read_config(folder)
    if own_folder.is_ours(whole):
        return _open_own(folder, own_folder.describe(whole, place))
    said = huggingface.text_part(whole)
    dialect = huggingface.find_dialect(said, place)
    fields = huggingface.read_fields(dialect, said, place)
    files = weights or _weights_of(folder)
    reader = SafetensorsReader(files[0] if len(files) == 1 else folder, [open_safetensors(file) for file in files])
    stated = stated or huggingface.name_of(said)
    origin = origin_of(stated) or f"weights {hash_json([sha256_file(file) for file in files])}"
    name = display_name(stated) or folder.resolve().name
    facts = Facts(name=name if said is whole else f"{name} (its text tower)", origin=origin)
    net = draft(dialect.architecture, fields, reader, place)
    return understand(net, dialect, reader, facts, _read_tokenizer(folder))


def _open_own(folder: Path, own: own_folder.Description) -> Checkpoint:
    own_folder.check_folder(folder)
    path = folder / WEIGHTS_NAME
    reader = SafetensorsReader(path, [open_safetensors(path)])
    net = draft(own.architecture, own.config, reader, f"'{folder / 'config.json'}'")
    facts = Facts(
        name=own.identity.name,
        quantization=own.identity.quantization,
        lineage=own.identity.lineage,
        tokenizer=own.identity.tokenizer,
        fingerprints=own.fingerprints,
    )
    return understand(
        net, own_names(own.architecture, list(parameter_shapes(net))), reader, facts, _read_tokenizer(folder)
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"'{folder}' holds no config.json; give a model's folder or the path of its .gguf file")
    return _read_object(path)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        raise FileFormatError(f"'{path}' is not the JSON object it should be ({fault}); fetch it again") from fault


def _weights_of(folder: Path) -> list[Path]:
    """Return the safetensors files that hold a folder's weights."""
    if (folder / INDEX_NAME).is_file():
        return _shards(folder, _read_object(folder / INDEX_NAME).get("weight_map"))
    if (folder / WEIGHTS_NAME).is_file():
        return [folder / WEIGHTS_NAME]
    for path in sorted(folder.iterdir()):
        if path.suffix in _PICKLED:
            raise ModelError(_pickled(path))
    raise ModelError(
        f"'{folder}' holds no {WEIGHTS_NAME} and no {INDEX_NAME}; add the weights or fetch the model again"
    )


def _shards(folder: Path, weight_map: object) -> list[Path]:
    names = set(weight_map.values()) if isinstance(weight_map, dict) and weight_map else {None}
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise FileFormatError(
                f"'{folder / INDEX_NAME}' names {str(name)[:80]!r} as a file of weights; fetch it again"
            )
        if not (folder / name).is_file():
            raise ModelError(f"'{folder}' lacks '{name}', which its {INDEX_NAME} names; fetch the model again")
    return [folder / str(name) for name in sorted(map(str, names))]


def _read_tokenizer(folder: Path) -> Tokenizer | None:
    return read_folder(folder) if any((folder / name).is_file() for name in _TOKENIZER_FILES) else None


def _pickled(path: Path) -> str:
    return (
        f"'{path}' is a pickle, which can run any program when it is read, so it is not; "
        "open a version of the model in safetensors or GGUF, or convert it with its authors' tools"
    )
