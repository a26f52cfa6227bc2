"""The notebook's bibliography: finding a paper in it, and adding one to `entries/refs.bib` with nothing else touched."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from glassbook.evidence.citations import Author, Reference
from glassbook.files.atomic import write_bytes
from glassbook.notebook.notebook import BIBLIOGRAPHIES, ENTRIES_FOLDER

_ENTRY_TYPES = {
    "article-journal": "article",
    "paper-conference": "inproceedings",
    "book": "book",
    "thesis": "phdthesis",
    "report": "techreport",
    "webpage": "online",
}
_VENUES = {"inproceedings": "booktitle", "phdthesis": "school", "techreport": "institution", "book": "publisher"}
# What BibTeX and LaTeX read as their own, and how they are told to print it; an address needs less of it.
_IN_ADDRESS = {"%": r"\%", "&": r"\&", "\\": r"{\textbackslash}", "~": r"{\textasciitilde}", "{": "(", "}": ")"}
_IN_TEXT = {**_IN_ADDRESS, **{sign: rf"\{sign}" for sign in "#$_"}, "^": "{^}"}
_JOINED = re.compile(r"--+|``+|''+|[?!]`")


def find_paper(references: Mapping[str, Reference], text: str, number: str | None = None) -> Reference | None:
    """Return the reference of this key, arXiv number, DOI or title; None where there is none."""
    plain = _plain(text)
    for reference in references.values():
        names = {_plain(name) for name in (reference.key, reference.doi, reference.title)} - {""}
        if plain in names or (number and reference.arxiv == number):
            return reference
    return None


def reference_from(title: str, authors: Sequence[str], year: int, arxiv: str) -> Reference:
    """Return a reference as arXiv tells it: the last word of an author is the family name."""
    people = tuple(Author(name.rpartition(" ")[2], name.rpartition(" ")[0]) for name in authors)
    return Reference(
        key="", title=without_latex(title), authors=people, year=year, where=f"arXiv:{arxiv}", arxiv=arxiv,
        kind="article-journal",
    )  # fmt: skip


def free_key(reference: Reference, taken: Mapping[str, Reference]) -> str:
    """Return the reference's key, or the first author's family name and the year; a letter is added where that is taken."""
    wanted = reference.key or f"{_letters(reference)}{reference.year or ''}"
    return next(key for key in _with_letters(wanted) if key not in taken)


def add_reference(root: Path, reference: Reference) -> Path:
    """Write a reference at the end of `entries/refs.bib`, every byte before it untouched; return the path."""
    path = root / ENTRIES_FOLDER / BIBLIOGRAPHIES[0]
    before = path.read_bytes() if path.is_file() else b""
    gap = b"" if not before.strip() else b"\n" if before.endswith(b"\n") else b"\n\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, before + gap + as_bibtex(reference).encode("utf-8"))
    return path


def as_bibtex(reference: Reference) -> str:
    """Return a reference as BibTeX, which `read_bibliography` reads back; braces within its texts become parentheses."""
    entry_type = _ENTRY_TYPES.get(reference.kind, "misc")
    fields = {
        "title": f"{{{_spelled(reference.title)}}}",
        "author": " and ".join(_named(author) for author in reference.authors),
        "year": str(reference.year or ""),
        _VENUES.get(entry_type, "howpublished" if entry_type in ("misc", "online") else "journal"): _spelled(
            reference.where
        ),
        "doi": _spelled(reference.doi, _IN_ADDRESS),
        "eprint": reference.arxiv,
        "url": _spelled(reference.url, _IN_ADDRESS),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{entry_type}{{{reference.key},", *lines, "}\n"])


def without_latex(text: str) -> str:
    r"""Return a title without LaTeX's signs: `$\beta$-VAE` is β-VAE."""
    text = re.sub(r"\\([A-Za-z]+)", lambda found: _letter_named(found[1]), text)
    return " ".join(re.sub(r"[{}$\\]", "", text).split())


def _letter_named(name: str) -> str:
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.upper()}")
    except KeyError:
        return ""


def _named(author: Author) -> str:
    """Return an author as BibTeX reads one; a body with a name of several words is one word in braces."""
    if author.given:
        return f"{_spelled(author.family)}, {_spelled(author.given)}"
    return f"{{{_spelled(author.family)}}}" if " " in author.family else _spelled(author.family)


def _spelled(text: str, spelling: Mapping[str, str] = _IN_TEXT) -> str:
    # Two hyphens would be read as a dash: each stands in braces of its own.
    parted = _JOINED.sub(lambda found: "".join(f"\0{sign}\1" for sign in found[0]), " ".join(text.split()))
    spelled = "".join(spelling.get(sign, sign) for sign in parted)
    return spelled.replace("\0", "{").replace("\1", "}")


def _plain(text: str) -> str:
    """Return a name without case, punctuation and the address before a DOI."""
    return re.sub(r"[\W_]+", " ", text.casefold().removeprefix("https://doi.org/").removeprefix("doi:")).strip()


def _letters(reference: Reference) -> str:
    family = reference.authors[0].family if reference.authors else ""
    ascii_only = unicodedata.normalize("NFKD", family).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", ascii_only.lower()) or "paper"


def _with_letters(key: str) -> Iterator[str]:
    yield key
    yield from (f"{key}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    number = 2
    while True:
        yield f"{key}-{number}"
        number += 1
