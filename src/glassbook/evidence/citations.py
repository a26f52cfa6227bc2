"""Citations: references read from BibTeX or CSL-JSON, shown short and in full, and found by their key."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import LatexDecodingMiddleware, NameParts, SeparateCoAuthors, SplitNameParts
from bibtexparser.model import Entry, ParsingFailedBlock

from glassbook.core.errors import EvidenceError, InputError

# What the parser logs is raised here as one sentence; without a handler it would be printed beside it.
logging.getLogger("bibtexparser").addHandler(logging.NullHandler())

_CSL_KINDS = {
    "article": "article-journal",
    "inproceedings": "paper-conference",
    "book": "book",
    "phdthesis": "thesis",
    "techreport": "report",
    "online": "webpage",
}
_VENUES = ("journal", "journaltitle", "booktitle", "institution", "school", "publisher", "howpublished", "organization")
_ARXIV = re.compile(r"(?:arxiv[.:/ ]*(?:abs/)?)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(v\d+)?", re.IGNORECASE)
_NAMED_ALL, _OTHERS = 2, "others"


class Author(msgspec.Struct, frozen=True):
    """A person by family and given names, or a body by its name alone."""

    family: str
    given: str = ""

    def __str__(self) -> str:
        return f"{self.given} {self.family}".strip()


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One work that may be cited: who wrote it, when, what it is called and where it stands. `kind` is CSL's."""

    key: str
    title: str
    authors: tuple[Author, ...] = ()
    year: int | None = None
    where: str = ""
    doi: str = ""
    arxiv: str = ""
    url: str = ""
    kind: str = "document"

    @property
    def short(self) -> str:
        """Return what stands in a sentence: "Turner et al. 2023"."""
        names = [author.family for author in self.authors]
        if not names:
            said = f"“{self.title}”"
        elif len(names) <= _NAMED_ALL and _OTHERS not in names:
            said = " and ".join(names)
        else:
            said = f"{names[0]} et al."
        return f"{said} {self.year}" if self.year is not None else said

    @property
    def full(self) -> str:
        """Return the line of a bibliography: authors, year, title, where, and the identifiers."""
        names = [str(author) for author in self.authors]
        if names[-1:] == [_OTHERS]:
            who = ", ".join([*names[:-1], "et al."])
        else:
            who = " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
        parts = [f"{who} ({self.year})" if who and self.year is not None else who or str(self.year or "")]
        parts += [self.title, self.where]
        parts += [f"doi:{self.doi}" if self.doi else "", f"arXiv:{self.arxiv}" if self.arxiv else "", self.url]
        return ". ".join(part.rstrip(".") for part in parts if part) + "."

    @property
    def link(self) -> str:
        """Return the address where the work can be read, or nothing."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else self.url


def read_bibliography(path: str | Path) -> dict[str, Reference]:
    """Return the references of a BibTeX or CSL-JSON file (`.json`) by key; raise InputError that names file and entry."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise InputError(f"'{path}' cannot be read ({fault.strerror}); put the bibliography there") from fault
    except UnicodeDecodeError as fault:
        raise InputError(f"'{path}' is not UTF-8 ({fault}); save it as UTF-8") from fault
    read = _read_csl if path.suffix.lower() == ".json" else _read_bibtex
    found: dict[str, Reference] = {}
    for reference in read(text, str(path)):
        if reference.key in found:
            raise InputError(
                f"'{path}', entry '{reference.key}': two entries have this key; name one of them otherwise"
            )
        found[reference.key] = reference
    return found


def find_reference(references: Mapping[str, Reference], key: str, where: str = "") -> Reference:
    """Return the reference of a key; raise EvidenceError that names the key, and the keys there are."""
    if key in references:
        return references[key]
    place = f"{where}: " if where else ""
    known = ", ".join(sorted(references)) or "none"
    raise EvidenceError(
        f"{place}nothing is cited as '{key}'; add it to the bibliography, or use one of its keys: {known}"
    )


def cite(references: Mapping[str, Reference], key: str) -> str:
    """Return the short form of a reference; raise EvidenceError for an unknown key."""
    return find_reference(references, key).short


def to_csl(references: Sequence[Reference]) -> str:
    """Return references as CSL-JSON, which `read_bibliography` reads back to equal ones."""
    return json.dumps([_to_csl(one) for one in references], ensure_ascii=False, indent=1) + "\n"


def _to_csl(reference: Reference) -> dict[str, Any]:
    names = [
        {"family": one.family, "given": one.given} if one.given else {"literal": one.family}
        for one in reference.authors
    ]
    fields: dict[str, Any] = {
        "id": reference.key,
        "type": reference.kind,
        "title": reference.title,
        "author": names,
        "issued": {"date-parts": [[reference.year]]} if reference.year is not None else None,
        "container-title": reference.where,
        "DOI": reference.doi,
        "archive": "arXiv" if reference.arxiv else "",
        "archive_location": reference.arxiv,
        "URL": reference.url,
    }
    return {name: value for name, value in fields.items() if value}


def _read_csl(text: str, path: str) -> list[Reference]:
    try:
        entries = msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.DecodeError as fault:
        raise InputError(
            f"'{path}' is not CSL-JSON ({fault}); it is a list of entries, each with id and title"
        ) from fault
    return [_from_csl(entry, number, path) for number, entry in enumerate(entries, start=1)]


def _from_csl(entry: dict[str, Any], number: int, path: str) -> Reference:
    try:
        names = [_csl_name(one) for one in entry.get("author", ())]
        parts = (entry.get("issued") or {}).get("date-parts") or [[None]]
        year = parts[0][0]
        arxiv = str(entry.get("archive_location", "")) if str(entry.get("archive", "")).lower() == "arxiv" else ""
        return Reference(
            key=str(entry["id"]),
            title=str(entry["title"]),
            authors=tuple(names),
            year=int(year) if year is not None else None,
            where=str(entry.get("container-title") or entry.get("publisher") or ""),
            doi=str(entry.get("DOI", "")),
            arxiv=arxiv,
            url=str(entry.get("URL", "")),
            kind=str(entry.get("type", "document")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
        said = f"{fault} is missing" if isinstance(fault, KeyError) else str(fault)
        raise InputError(f"'{path}', entry {number}: it is no entry of CSL-JSON ({said}); mend it there") from fault


def _csl_name(name: Mapping[str, Any]) -> Author:
    if "literal" in name:
        return Author(str(name["literal"]))
    particle = name.get("non-dropping-particle") or name.get("dropping-particle") or ""
    family = f"{particle} {name['family']}" if particle else str(name["family"])
    return Author(family, str(name.get("given", "")))


def _read_bibtex(text: str, path: str) -> list[Reference]:
    # Braces are kept until names are parted: {Barnes and Noble} is one author.
    layers = [LatexDecodingMiddleware(keep_braced_groups=True), SeparateCoAuthors(), SplitNameParts()]
    library = parse_string(text, append_middleware=layers)
    for block in library.failed_blocks:
        raise InputError(f"'{path}', line {(block.start_line or 0) + 1}: {_say_fault(block)}; mend it there")
    return [_from_bibtex(entry, path) for entry in library.entries]


def _say_fault(block: ParsingFailedBlock) -> str:
    said = str(block.error).strip()
    return f"this entry cannot be read ({said.splitlines()[0].rstrip('.')})" if said else "this entry cannot be read"


def _from_bibtex(entry: Entry, path: str) -> Reference:
    fields = {field.key.lower(): field.value for field in entry.fields}
    where = f"'{path}', entry '{entry.key}'"
    if not _plain(fields.get("title")):
        raise InputError(f"{where}, field 'title': it has none; write what the work is called")
    year = re.match(r"\d{4}", _plain(fields.get("year") or fields.get("date")))
    if (fields.get("year") or fields.get("date")) and not year:
        raise InputError(
            f"{where}, field 'year': {fields.get('year') or fields.get('date')!r} is no year; write four digits"
        )
    venue = next((_plain(fields[name]) for name in _VENUES if fields.get(name)), "")
    arxiv = _arxiv_of(fields, venue)
    return Reference(
        key=entry.key,
        title=_plain(fields["title"]),
        authors=tuple(_bibtex_name(name) for name in fields.get("author", ())),
        year=int(year[0]) if year else None,
        where=venue,
        doi=_plain(fields.get("doi")),
        arxiv=arxiv,
        url=_plain(fields.get("url")),
        kind=_CSL_KINDS.get(entry.entry_type.lower(), "document"),
    )


def _bibtex_name(name: NameParts) -> Author:
    family = " ".join([*name.von, *name.last])
    return Author(_plain(family), _plain(" ".join([*name.first, *name.jr])))


def _arxiv_of(fields: Mapping[str, Any], venue: str) -> str:
    for text in (_plain(fields.get("eprint")), venue if "arxiv" in venue.lower() else ""):
        if found := _ARXIV.search(text):
            return found[1]
    return ""


def _plain(value: Any) -> str:
    """Return a field without the braces that only guard its letters."""
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", str(value or ""))).strip()
