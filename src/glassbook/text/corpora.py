"""Corpora: documents one after another, with their licence and a checksum of what was read.

A corpus is a known name, a `.txt` or `.jsonl` file (plain, .gz or .xz) or an iterable of strings. A `.txt` file is one
document; a `.jsonl` file has one a line, under `text`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from glassbook.core.errors import FileFormatError, InputError
from glassbook.sources.folder import open_text, read_jsonl
from glassbook.sources.known import known
from glassbook.sources.obtain import obtain

_DATA = Path(__file__).parent / "data"
_SUFFIXES = tuple(kind + packing for kind in (".txt", ".jsonl") for packing in ("", ".gz", ".xz"))


@dataclass(frozen=True)
class CorpusInfo:
    """What is known of a corpus before it is read."""

    name: str
    licence: str
    origin: str
    title: str = ""
    author: str = ""
    year: int | None = None


_BOOKS = "mlschmitt/classic-books-markdown@944882722e9a"
SHIPPED = {
    name: CorpusInfo(name, "public domain", f"{_BOOKS}, chapters 1 to {n_chapters}", title, author, year)
    for name, n_chapters, title, author, year in (
        ("alice", 8, "Alice's Adventures in Wonderland", "Lewis Carroll", 1865),
        ("oz", 11, "The Wonderful Wizard of Oz", "L. Frank Baum", 1900),
        ("willows", 4, "The Wind in the Willows", "Kenneth Grahame", 1908),
    )
}
# Those files of `sources` that hold running text.
KNOWN = (
    "wikitext2_valid",
    "wikitext2_test",
    "tinyshakespeare",
    "classic_books_young",
    "classic_books",
    "udhr",
    "pros_cons",
)

Documents = Callable[[], Iterable[str]]
Source = str | Path | Iterable[str]


class Corpus:
    """Documents to iterate over, as often as wanted; `sha256` covers exactly the documents that this corpus yields."""

    def __init__(self, info: CorpusInfo, documents: Documents, limit: int | None = None) -> None:
        self.info = info
        self.documents = documents
        self.limit = limit
        self._sha256: str | None = None

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, licence={self.licence!r}, limit={self.limit})"

    @property
    def name(self) -> str:
        """Return the name: a known one, a file's, or `given texts`."""
        return self.info.name

    @property
    def licence(self) -> str:
        """Return the licence as the origin states it, `unknown` for what the user brings."""
        return self.info.licence

    @property
    def origin(self) -> str:
        """Return where the rows come from."""
        return self.info.origin

    def __iter__(self) -> Iterator[str]:
        """Yield the documents; raise InputError for one that is no text, FileFormatError for a damaged file."""
        digest, n_documents = hashlib.sha256(), 0
        for document in islice(self.documents(), self.limit):
            raw = _utf8(document, n_documents, self.name)
            # With its length in front, a document cannot pass for two.
            digest.update(len(raw).to_bytes(8, "little") + raw)
            n_documents += 1
            yield document
        if n_documents == 0:
            raise InputError(f"the corpus '{self.name}' holds no document; choose another")
        self._sha256 = digest.hexdigest()

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the documents, each with its length in bytes before it (8 bytes, little endian).

        It is computed while the corpus is read; asked for before, it reads the corpus once.
        """
        if self._sha256 is None:
            for _ in self:
                pass
        assert self._sha256 is not None
        return self._sha256


def open_corpus(source: "Source | Corpus", limit: int | None = None) -> Corpus:
    """Return the corpus that a known name, a file or an iterable of strings stands for, up to `limit` documents.

    Raises InputError for a name or file that is not there, SourceError where a known corpus cannot be had.
    """
    if limit is not None and limit < 1:
        raise InputError(f"a corpus of {limit} documents cannot be read; give a limit of at least 1")
    if isinstance(source, Corpus):
        return Corpus(source.info, source.documents, source.limit if limit is None else limit)
    if not isinstance(source, str | Path):
        return Corpus(CorpusInfo("given texts", "unknown", "given by the caller"), _given(source), limit)
    if isinstance(source, str) and source in SHIPPED:
        return Corpus(SHIPPED[source], _file(_DATA / f"{source}.jsonl"), limit)
    if isinstance(source, str) and source in KNOWN:
        return Corpus(_known_info(source), _file(obtain(source)), limit)
    path = Path(source)
    if not path.name.endswith(_SUFFIXES) or not path.is_file():
        raise InputError(_unknown(source))
    return Corpus(CorpusInfo(path.name, "unknown", str(source)), _file(path), limit)


def list_corpora() -> list[CorpusInfo]:
    """Return what is known of every corpus that has a name: first those in the package, then those of `sources`."""
    return [*SHIPPED.values(), *map(_known_info, KNOWN)]


def _known_info(name: str) -> CorpusInfo:
    file = known(name)
    return CorpusInfo(name, file.licence, file.origin)


def _file(path: Path) -> Documents:
    return lambda: _rows(path) if ".jsonl" in path.suffixes else _whole(path)


def _whole(path: Path) -> Iterator[str]:
    with open_text(path) as text:
        yield text.read()


def _rows(path: Path) -> Iterator[str]:
    for number, row in enumerate(read_jsonl(path), start=1):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise FileFormatError(f"row {number} of '{path}' has no text under 'text'; give one JSON object a line")
        yield row["text"]


def _given(texts: Iterable[str]) -> Documents:
    if not isinstance(texts, Iterator):
        return lambda: texts
    unread = [texts]

    def once() -> Iterable[str]:
        if not unread:
            raise InputError("this corpus is an iterator that has been read already; give a list to read it again")
        return unread.pop()

    return once


def _utf8(document: object, number: int, name: str) -> bytes:
    if not isinstance(document, str):
        kind = type(document).__name__
        raise InputError(f"document {number} of the corpus '{name}' is of type {kind}; a corpus holds strings")
    try:
        return document.encode()
    except UnicodeEncodeError:
        raise InputError(f"document {number} of the corpus '{name}' holds half a character; remove it") from None


def _unknown(source: str | Path) -> str:
    names = [*SHIPPED, *KNOWN]
    near = get_close_matches(str(source), names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    shown = str(source)[:80]
    return f"'{shown}' is neither a known corpus nor a .txt or .jsonl file; {hint}known: {', '.join(names)}"
