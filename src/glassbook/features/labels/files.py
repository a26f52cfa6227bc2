"""Labels beside their dictionary: `labels.json`, replaced all or nothing; and the journal of a labelling that is under way."""

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError, InputError
from glassbook.features.cards.files import dictionary_beside
from glassbook.features.labels.label import Label, Labels, Scorer
from glassbook.files.atomic import disk_full, write_bytes
from glassbook.files.reading import damaged, shown

FORMAT = "glassbook-labels/1"
LABELS, JOURNAL = "labels.json", "labels.part.jsonl"

_WRITE_EVERY_S = 1.0
_MAKE = "make them with glassbook features label"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `labels.json` says; `dictionary` is the checksum of the weights that the labels are of."""

    format: str
    dictionary: str
    n_features: int
    facts: dict[str, Any]
    scorer: Scorer
    labels: list[Label]


def save_labels(folder: str | Path, labels: Labels) -> Path:
    """Write labels beside the dictionary in a folder, all or nothing, one a line, and return the file.

    Raises InputError where the folder holds no dictionary, or one without some of the features.
    """
    place = Path(folder)
    checksum, n_features = dictionary_beside(place)
    beyond = [label.feature for label in labels if not 0 <= label.feature < n_features]
    if beyond:
        raise InputError(
            f"'{place}' holds a dictionary of {n_features:,} features and there is a label of {beyond[0]:,}"
        )
    head = {"format": FORMAT, "dictionary": checksum, "n_features": n_features, "facts": labels.facts}
    parts = [msgspec.json.encode(head | {"scorer": labels.scorer})[:-1], b',"labels":[\n']
    parts += [b",\n".join(map(msgspec.json.encode, labels)), b"\n]}\n"]
    write_bytes(place / LABELS, b"".join(parts))
    return place / LABELS


def open_labels(folder: str | Path) -> Labels:
    """Return the labels beside the dictionary in a folder.

    Raises FileFormatError where there are none, where they are damaged, or of other weights than the dictionary.
    """
    path = Path(folder) / LABELS
    record = _read(path)
    checksum, n_features = dictionary_beside(Path(folder))
    if record.dictionary != checksum:
        raise FileFormatError(f"the labels in '{path}' are of other weights than the dictionary beside them; {_MAKE}")
    features = [label.feature for label in record.labels]
    if record.n_features != n_features or len(set(features)) < len(features):
        raise damaged(path, "it has labels twice, or of another number of features")
    if features and not 0 <= min(features) <= max(features) < n_features:
        raise damaged(path, f"it has labels of features beyond the dictionary's {n_features:,}")
    return Labels(record.facts, record.scorer, record.labels)


def has_labels(folder: str | Path) -> bool:
    """Return whether there are labels beside the dictionary in a folder, to judge by their file's name."""
    return (Path(folder) / LABELS).is_file()


def _read(path: Path) -> _Record:
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise FileFormatError(f"'{path.parent}' holds no labels; {_MAKE}") from fault
    try:
        known = msgspec.json.decode(data)
        found = known.get("format") if isinstance(known, dict) else None
        if found != FORMAT:
            raise damaged(path, f"its format is '{shown(found)}' and not {FORMAT}")
        return msgspec.convert(known, _Record)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        raise damaged(path, shown(fault)) from fault


class Journal:
    """Labels that were scored already, a line each, so that a labelling that was cut short goes on.

    The first line says what was `asked`, a hash; a journal that was begun with another question is begun anew.
    """

    def __init__(self, folder: str | Path, asked: str) -> None:
        self.path, self.asked = Path(folder) / JOURNAL, asked
        self.known = {label.feature: label for label in _lines(self.path, asked)}
        self._waiting, self._written = list[Label](), time.monotonic()
        lines = (msgspec.json.encode({"asked": asked}), *map(msgspec.json.encode, self.known.values()))
        write_bytes(self.path, b"".join(line + b"\n" for line in lines))

    def add(self, label: Label) -> None:
        """Take a label; about once a second what was taken is written."""
        self.known[label.feature] = label
        self._waiting.append(label)
        if time.monotonic() - self._written >= _WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Append what was taken; when this returns it survives a crash."""
        lines = b"".join(msgspec.json.encode(label) + b"\n" for label in self._waiting)
        try:
            with open(self.path, "ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as fault:
            raise disk_full(self.path) from fault
        self._waiting, self._written = [], time.monotonic()

    def end(self) -> None:
        """Remove the journal: all it held is in the labels now."""
        self.path.unlink(missing_ok=True)


def _lines(path: Path, asked: str) -> list[Label]:
    """Return the labels of a journal with the same question, up to a line that was cut short."""
    try:
        head, *lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found: list[Label] = []
    try:
        if msgspec.json.decode(head) == {"asked": asked}:
            for line in filter(None, lines):
                found.append(msgspec.json.decode(line, type=Label))
    except msgspec.MsgspecError:
        # What a crash cut short was not acknowledged, and is made again.
        return found
    return found
