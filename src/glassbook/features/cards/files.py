"""Cards beside their dictionary: the folder `cards/`, written all or nothing, opened without reading more than its table.

`cards.json` says of what; `table.safetensors` has for each feature its numbers, the place of its packed card in `packed.bin`
and that card's checksum, so that one card is read and checked without the others; `vocabulary.msgpack` has the tokens' text.
"""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError, InputError
from glassbook.features.cards.card import Cards
from glassbook.features.files import RECORD as DICTIONARY_RECORD
from glassbook.files.atomic import atomic_folder, write_bytes, write_json
from glassbook.files.hashes import sha256_bytes, sha256_file
from glassbook.files.reading import ContainerFile, damaged, shown
from glassbook.files.safetensors import open_safetensors, write_safetensors

FORMAT = "glassbook-cards/1"
FOLDER = "cards"
RECORD, TABLE, PACKED, VOCABULARY = "cards.json", "table.safetensors", "packed.bin", "vocabulary.msgpack"

_COLUMNS = {"starts": ("I64", 1), "counts": ("I64", 0), "largest": ("F32", 0), "checksums": ("U32", 0)}
"""The dtype of each column, and by how many it is longer than there are features."""

_MAKE = "make them with glassbook features cards"


class _File(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class _Record(msgspec.Struct, frozen=True):
    """What `cards.json` says; `dictionary` is the checksum of the weights that the cards are of."""

    format: str
    dictionary: str
    n_features: int
    facts: dict[str, Any]
    files: dict[str, _File]


class _Dictionary(msgspec.Struct, frozen=True):
    """What cards need to know of the dictionary beside them."""

    sha256: str
    n_features: int


def save_cards(folder: str | Path, cards: Cards) -> Path:
    """Write cards into the folder of their dictionary, all or nothing, and return their own folder.

    Raises InputError where the folder holds no dictionary, or one of another size.
    """
    place = Path(folder)
    checksum, n_features = dictionary_beside(place)
    if n_features != cards.n_features:
        raise InputError(
            f"'{place}' holds a dictionary of {n_features:,} features and the cards are of {cards.n_features:,}; "
            "save them beside their own"
        )
    with atomic_folder(place / FOLDER) as unfinished:
        _write_packed(unfinished, cards)
        write_bytes(unfinished / VOCABULARY, msgspec.msgpack.encode(dict(cards.vocabulary)))
        files = {
            name: {"bytes": (unfinished / name).stat().st_size, "sha256": sha256_file(unfinished / name)}
            for name in (TABLE, PACKED, VOCABULARY)
        }
        record = {"format": FORMAT, "dictionary": checksum, "n_features": n_features}
        write_json(unfinished / RECORD, record | {"facts": cards.facts, "files": files})
    return place / FOLDER


def open_cards(folder: str | Path) -> Cards:
    """Return the cards beside the dictionary in a folder; each card is read, and its checksum held against it, when asked for.

    Raises FileFormatError where there are none, where they are damaged or cut short, or of other weights than the dictionary.
    """
    place = Path(folder) / FOLDER
    record = _read_record(place)
    checksum, _ = dictionary_beside(Path(folder))
    if record.dictionary != checksum:
        raise FileFormatError(f"the cards in '{place}' are of other weights than the dictionary beside them; {_MAKE}")
    _check_sizes(place, record)
    table = _read_table(place, record)
    return Cards(
        record.facts, table["counts"], table["largest"], _reader(place / PACKED, table), _vocabulary(place, record)
    )


def has_cards(folder: str | Path) -> bool:
    """Return whether there are cards beside the dictionary in a folder, to judge by their files' names."""
    return (Path(folder) / FOLDER / RECORD).is_file()


def cards_faults(folder: str | Path) -> list[str]:
    """Return one sentence for each file of the cards that is not as it was written; all of them are read."""
    place = Path(folder) / FOLDER
    found = []
    for name, kept in _read_record(place).files.items():
        path = place / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != kept.bytes:
            found.append(f"{name} has {path.stat().st_size:,} bytes, not {kept.bytes:,}")
        elif sha256_file(path) != kept.sha256:
            found.append(f"{name} has the right size but another content")
    return found


def _write_packed(folder: Path, cards: Cards) -> None:
    """Write the packed cards one after another, and the table that says where each is."""
    starts, checksums = np.zeros(cards.n_features + 1, "<i8"), np.zeros(cards.n_features, "<u4")
    with open(folder / PACKED, "wb") as file:
        for feature in range(cards.n_features):
            data = cards.packed(feature)
            file.write(data)
            starts[feature + 1] = starts[feature] + len(data)
            checksums[feature] = zlib.crc32(data)
    columns = {"starts": starts, "counts": cards.counts, "largest": cards.largest, "checksums": checksums}
    kinds = {"I64": "<i8", "F32": "<f4", "U32": "<u4"}
    write_safetensors(
        folder / TABLE,
        [
            (name, kind, (len(columns[name]),), np.asarray(columns[name], kinds[kind]))
            for name, (kind, _) in _COLUMNS.items()
        ],
    )


def dictionary_beside(folder: Path) -> tuple[str, int]:
    """Return the checksum of the weights of the dictionary in a folder, and its number of features."""
    try:
        found = msgspec.json.decode((folder / DICTIONARY_RECORD).read_bytes(), type=_Dictionary)
    except OSError as fault:
        raise InputError(f"'{folder}' holds no dictionary for cards to lie beside; save that first") from fault
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise damaged(folder / DICTIONARY_RECORD, str(fault)) from fault
    return found.sha256, found.n_features


def _read_record(place: Path) -> _Record:
    try:
        record = msgspec.json.decode((place / RECORD).read_bytes(), type=_Record)
    except OSError as fault:
        raise FileFormatError(f"'{place}' holds no cards; {_MAKE}") from fault
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise damaged(place / RECORD, f"it does not say what the cards are ({fault})") from fault
    if record.format != FORMAT:
        raise damaged(place / RECORD, f"its format is '{shown(record.format)}' and not {FORMAT}")
    if record.files.keys() != {TABLE, PACKED, VOCABULARY} or not isinstance(record.facts.get("tokens"), int):
        raise damaged(place / RECORD, "it does not list the files of the cards and their tokens")
    return record


def _check_sizes(place: Path, record: _Record) -> None:
    for name, kept in record.files.items():
        size = (place / name).stat().st_size if (place / name).is_file() else None
        if size != kept.bytes:
            what = "is missing" if size is None else f"has {size:,} bytes, not {kept.bytes:,}"
            raise FileFormatError(f"'{place / name}' {what}; {_MAKE}")


def _read_table(place: Path, record: _Record) -> dict[str, NDArray[Any]]:
    path = place / TABLE
    if sha256_file(path) != record.files[TABLE].sha256:
        raise damaged(path, "its checksum is not the one that was written beside it")
    with open_safetensors(path) as file:
        shapes = {name: (info.dtype, info.shape) for name, info in file.tensors.items()}
        wanted = {name: (kind, (record.n_features + more,)) for name, (kind, more) in _COLUMNS.items()}
        if shapes != wanted:
            raise damaged(path, f"its columns are not those of {record.n_features:,} features")
        table = {name: file.read(info) for name, info in file.tensors.items()}
    starts = table["starts"]
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] != record.files[PACKED].bytes:
        raise damaged(path, "it points at what is not there")
    return table


def _reader(path: Path, table: Mapping[str, NDArray[Any]]) -> Callable[[int], bytes]:
    """Return what reads one packed card and holds its checksum against it."""
    file = ContainerFile(path)

    def read(feature: int) -> bytes:
        start, stop = table["starts"][feature : feature + 2].tolist()
        data = bytearray(stop - start)
        file.fill(data, start)
        if zlib.crc32(data) != table["checksums"][feature]:
            raise FileFormatError(f"the card of feature {feature} in '{path}' is damaged; {_MAKE}")
        return bytes(data)

    return read


def _vocabulary(place: Path, record: _Record) -> Callable[[], dict[int, str]]:
    def read() -> dict[int, str]:
        path = place / VOCABULARY
        data = path.read_bytes()
        if sha256_bytes(data) != record.files[VOCABULARY].sha256:
            raise damaged(path, "its checksum is not the one that was written beside it")
        try:
            return msgspec.msgpack.decode(data, type=dict[int, str])
        except msgspec.MsgspecError as fault:
            raise damaged(path, str(fault)) from fault

    return read
