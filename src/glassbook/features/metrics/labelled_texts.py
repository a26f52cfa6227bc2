"""Texts with a class each, in a part to learn from and a part to be tested on: what probes are asked to tell.

No text is in both parts: one to be tested on that is also to learn from is left out. Where the origin has no parts they are cut
by the text's own checksum, and books by chapter.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassbook.core.errors import FileFormatError, InputError
from glassbook.sources.folder import read_jsonl
from glassbook.sources.known import known
from glassbook.sources.labelled import LABELLED
from glassbook.sources.obtain import is_cached, obtain
from glassbook.text.corpora import SHIPPED, open_corpus

TRAIN, TEST = "train", "test"
BOOKS = "books"
_PASSAGE = 350
"""Characters of a passage of a book, to the end of the sentence."""
_TEST_SHARE = 1 / 3
_Row = tuple[str, str, str]
_BY_COARSE = ("DESC", "ENTY", "HUM", "LOC", "NUM")
"""The kinds of question that there are enough of; abbreviations are 9 of the 500 to be tested on."""


@dataclass(frozen=True)
class LabelledTexts:
    """A set of texts: the class of each, and whether it is to learn from (`train`) or to be tested on (`test`)."""

    name: str
    texts: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    licence: str
    origin: str

    @property
    def names(self) -> list[str]:
        """Return the names of the classes, sorted."""
        return sorted(set(self.classes))

    def places(self, name: str, part: str) -> list[int]:
        """Return which texts are of a class and a part."""
        told = zip(self.classes, self.parts, strict=True)
        return [number for number, found in enumerate(told) if found == (name, part)]

    @property
    def sha256(self) -> str:
        """Return the checksum of all rows, in their order."""
        digest = hashlib.sha256()
        for row in zip(self.texts, self.classes, self.parts, strict=True):
            digest.update("\0".join(row).encode() + b"\1")
        return digest.hexdigest()


def load_labelled(name: str | Path) -> LabelledTexts:
    """Return a set of labelled texts: `books` (in the package), a known one, or a JSON-lines file {text,label,split?}.

    Raises InputError for an unknown name and for a set with fewer than two classes, or fewer than two texts of one in a part;
    SourceError where a known set cannot be had; FileFormatError with the number of the row.
    """
    if str(name) == BOOKS:
        rows, licence, origin = list(_books()), "public domain", "the books in the package, passage by passage"
    elif str(name) in _READERS:
        file = known(str(name))
        rows = list(_read(obtain(file.name), _READERS[str(name)]))
        licence, origin = file.licence, file.origin
    elif Path(name).is_file():
        rows, licence, origin = list(_read(Path(name), _given)), "unknown", str(name)
    else:
        raise InputError(
            f"'{name}' is neither a known set of labelled texts nor a file; known: {', '.join(list_labelled())}"
        )
    learned = {text for text, _, part in rows if part == TRAIN}
    kept = [row for row in rows if row[2] == TRAIN or row[0] not in learned]
    texts, classes, parts = zip(*kept, strict=True) if kept else ((), (), ())
    found = LabelledTexts(Path(name).stem, texts, classes, parts, licence, origin)
    _check(found)
    return found


def list_labelled() -> list[str]:
    """Return the names of the sets that are known: the one in the package, then those of `sources`."""
    return [BOOKS, *_READERS]


def labelled_at_hand() -> list[str]:
    """Return the names of those whose texts are in the package, the cache or the data folder."""
    return [BOOKS, *(name for name in _READERS if is_cached(name))]


def _check(found: LabelledTexts) -> None:
    if len(found.names) < 2:
        held = f"one class, '{found.names[0]}'" if found.names else "no text"
        raise InputError(f"'{found.name}' has {held}, so there is nothing to tell apart; give texts of two")
    for name in found.names:
        for part in (TRAIN, TEST):
            if (n := len(found.places(name, part))) < 2:
                raise InputError(
                    f"'{found.name}' has {n} texts of the class '{name}' in its {part} part; give at least two"
                )


def _books() -> Iterator[_Row]:
    """Yield the passages of the books in the package; every third chapter is tested on."""
    for book in SHIPPED:
        for number, chapter in enumerate(open_corpus(book)):
            for passage in _passages(chapter):
                yield passage, book, TEST if number % 3 == 1 else TRAIN


def _passages(text: str) -> Iterator[str]:
    """Yield the text in passages that end with a sentence; what is left at the end is dropped."""
    passage = ""
    for sentence in text.replace("\n", " ").split(". "):
        passage += sentence + ". "
        if len(passage) >= _PASSAGE:
            yield passage.strip()
            passage = ""


def _read(path: Path, reader: Callable[[Mapping[str, Any]], _Row | None]) -> Iterator[_Row]:
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            found = reader(row)
        except (KeyError, TypeError, AttributeError) as fault:
            raise FileFormatError(
                f"row {number} of '{path}' cannot be used ({fault!r}); give each line an object with text and label"
            ) from fault
        if found is not None:
            yield found


def _by_checksum(text: str) -> str:
    """Return the part of a text, which depends on its letters alone."""
    first = int.from_bytes(hashlib.sha256(text.strip().encode()).digest()[:4], "big")
    return TEST if first / 2**32 < _TEST_SHARE else TRAIN


def _given(row: Mapping[str, Any]) -> _Row | None:
    """Return a row of a file; rows of a split that is neither to learn from nor to be tested on are left out."""
    text, split = row["text"], row.get("split")
    if not isinstance(text, str):
        raise TypeError("text is no string")
    if split is None:
        return text, str(row["label"]), _by_checksum(text)
    return (text, str(row["label"]), split) if split in (TRAIN, TEST) else None


def _question(row: Mapping[str, Any]) -> _Row | None:
    return (row["text"], row["coarse"], row["split"]) if row["coarse"] in _BY_COARSE else None


_READERS: dict[str, Callable[[Mapping[str, Any]], _Row | None]] = {
    "pros_cons": _given,
    **dict.fromkeys(LABELLED, _given),
    "trec_questions": _question,
}
