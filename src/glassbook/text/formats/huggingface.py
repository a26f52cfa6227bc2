"""Tokenizers in a Hugging Face folder: `tokenizer.json`, or `vocab.json` with `merges.txt`, and the files beside."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.atomic import write_json, write_text
from glassbook.text.bpe import END_OF_TEXT
from glassbook.text.tokenizer import Declared, Tokenizer, build

_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")


def read_folder(folder: Path | str) -> Tokenizer:
    """Return the tokenizer of a model folder; raise InputError where none is, FileFormatError where it is damaged."""
    folder = Path(folder)
    config = {**_read_object(folder / "special_tokens_map.json"), **_read_object(folder / "tokenizer_config.json")}
    roles = {role: _content(config[role]) for role in _ROLES if config.get(role) is not None}
    if (folder / "tokenizer.json").is_file():
        place, backend = str(folder / "tokenizer.json"), _read_backend(folder / "tokenizer.json")
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        place, backend = str(folder / "vocab.json"), _read_byte_bpe(folder)
    else:
        raise InputError(f"{folder} holds neither tokenizer.json nor vocab.json with merges.txt; add these files")
    _add_special(backend, roles.values())
    return build(backend, _declared(folder, backend, config, roles), place)


def adopt(tokenizer: Any, stop_ids: Iterable[int] = ()) -> Tokenizer:
    """Return our tokenizer of one that is in memory: ours, `tokenizers.Tokenizer`, or a fast one of transformers.

    `stop_ids` are further tokens at which its model stops. Theirs is copied, never changed. Raises InputError for any other.
    """
    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    theirs = tokenizer if isinstance(tokenizer, tokenizers.Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(theirs, tokenizers.Tokenizer):
        raise InputError(
            f"a tokenizer of the class {type(tokenizer).__name__} cannot be read; give a fast one (use_fast=True), "
            f"the `tokenizers.Tokenizer` behind it, or none and work with token ids"
        )
    backend = tokenizers.Tokenizer.from_str(theirs.to_str())
    ids = {role: getattr(tokenizer, f"{role}_id", None) for role in _ROLES}
    _add_special(backend, filter(None, (backend.id_to_token(number) for number in ids.values() if number is not None)))
    bos, template = ids["bos_token"], getattr(tokenizer, "chat_template", None)
    declared = Declared(
        bos,
        ids["eos_token"],
        ids["pad_token"],
        tuple(stop_ids),
        adds_bos=bos is not None and backend.encode("a").ids[:1] == [bos],
        chat_template=template if isinstance(template, str) else None,
    )
    return build(backend, declared, f"the {type(tokenizer).__name__}")


def save_folder(tokenizer: Tokenizer, folder: Path | str) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and, where there are any, chat template and further stop tokens.

    `read_folder` and transformers read the folder back.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "tokenizer.json", tokenizer.to_json())
    names = {"bos_token": tokenizer.bos_id, "eos_token": tokenizer.eos_id, "pad_token": tokenizer.pad_id}
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": tokenizer.adds_bos}
    config |= {role: tokenizer.decode([number]) for role, number in names.items() if number is not None}
    write_json(folder / "tokenizer_config.json", config | {"clean_up_tokenization_spaces": False})
    if tokenizer.chat_template is not None:
        write_text(folder / "chat_template.jinja", tokenizer.chat_template)
    if len(tokenizer.stop_ids) > 1:
        write_json(folder / "generation_config.json", {"eos_token_id": list(tokenizer.stop_ids)})


def _read_backend(path: Path) -> tokenizers.Tokenizer:
    raw = path.read_bytes()
    try:
        return tokenizers.Tokenizer.from_buffer(raw)
    except (KeyboardInterrupt, SystemExit):
        raise
    # The library raises plain Exception for most faults and, for a few, a Rust panic that is no Exception at all.
    except BaseException as error:
        reason = str(error).removeprefix("Cannot instantiate Tokenizer from buffer: ")
        raise FileFormatError(f"{path} is not a tokenizer ({reason[:200]}); fetch it again") from None


def _read_byte_bpe(folder: Path) -> tokenizers.Tokenizer:
    """Return GPT-2's kind of tokenizer from `vocab.json` and `merges.txt`."""
    vocabulary = _read_object(folder / "vocab.json")
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    merges: list[Any] = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    try:
        backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Exception as error:
        raise FileFormatError(f"{folder}: vocab.json and merges.txt do not fit ({error}); fetch them again") from None
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    _add_special(backend, [END_OF_TEXT])
    return backend


def _declared(
    folder: Path, backend: tokenizers.Tokenizer, config: Mapping[str, Any], roles: Mapping[str, str]
) -> Declared:
    model, generation = _read_object(folder / "config.json"), _read_object(folder / "generation_config.json")
    bos, eos, pad = (
        backend.token_to_id(roles[role]) if role in roles else _first_id(model.get(f"{role}_id"), backend)
        for role in ("bos_token", "eos_token", "pad_token")
    )
    stops = [number for found in (generation, model) for number in _ids(found.get("eos_token_id"), backend)]
    adds_bos = config.get("add_bos_token")
    if not isinstance(adds_bos, bool):
        adds_bos = bos is not None and backend.encode("a").ids[:1] == [bos]
    return Declared(bos, eos, pad, tuple(stops), adds_bos, _chat_template(folder, config))


def _chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Return the template of the folder: its own file, else the configuration's only one or the one named `default`."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {row.get("name"): row.get("template") for row in found if isinstance(row, dict)}
        found = named.get("default", next(iter(named.values()), None))
    if found is not None and not isinstance(found, str):
        raise FileFormatError(f"{folder / 'tokenizer_config.json'}: 'chat_template' is no text; fetch the file again")
    return found


def _add_special(backend: tokenizers.Tokenizer, names: Iterable[str]) -> None:
    """Make special the tokens that a file names for a role; a name outside the vocabulary has no row in the model."""
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    new = [name for name in names if name not in known and backend.token_to_id(name) is not None]
    backend.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in new])


def _ids(value: Any, backend: tokenizers.Tokenizer) -> list[int]:
    """Return the ids of a field that holds one or a list of them, leaving out what is no token."""
    numbers = value if isinstance(value, list) else [value]
    whole = (number for number in numbers if type(number) is int and 0 <= number < 2**32)
    return [number for number in whole if backend.id_to_token(number) is not None]


def _first_id(value: Any, backend: tokenizers.Tokenizer) -> int | None:
    return next(iter(_ids(value, backend)), None)


def _content(token: Any) -> str:
    """Return the text of a special token, which files give bare or as an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise FileFormatError(f"a special token of tokenizer_config.json is {text!r}, no text; fetch the file again")
    return text


def _read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FileFormatError(f"{path} is not the JSON object it should be ({error}); fetch it again") from None
