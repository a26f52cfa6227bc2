"""What arXiv says of a paper: title, authors and year, asked by its number."""

import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from glassbook.core.errors import SourceError

_NUMBER = re.compile(
    r"(?:arxiv:)?(?:https?://arxiv\.org/(?:abs|pdf)/)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?(?:\.pdf)?",
    re.I,
)
_QUESTION = "https://export.arxiv.org/api/query?max_results=1&id_list="
_ATOM = "{http://www.w3.org/2005/Atom}"
_LARGEST, _PATIENCE_S = 1_000_000, 10


@dataclass(frozen=True, slots=True)
class ArxivPaper:
    """A paper as arXiv lists it."""

    number: str
    title: str
    authors: Sequence[str]
    year: int


def arxiv_number(text: str) -> str | None:
    """Return the number in `2308.10248`, `arXiv:2308.10248v2` or an address of arXiv; None where there is none."""
    found = _NUMBER.fullmatch(text.strip())
    return found[1] if found else None


def ask_arxiv(number: str) -> ArxivPaper:
    """Return what arXiv says of a paper; raise SourceError without a network, or where it knows no such paper."""
    try:
        with urllib.request.urlopen(f"{_QUESTION}{number}", timeout=_PATIENCE_S) as answer:
            data = answer.read(_LARGEST + 1)
    except (urllib.error.URLError, TimeoutError, ConnectionError, OSError) as fault:
        reason = getattr(fault, "reason", fault)
        raise SourceError(
            f"arXiv could not be asked about {number} ({reason}); put the paper's BibTeX into entries/refs.bib, or name a file "
            f"that has it with --bib, and try again"
        ) from fault
    return read_answer(data, number)


def read_answer(data: bytes, number: str) -> ArxivPaper:
    """Return the paper in arXiv's answer; raise SourceError for an answer that is too long, hostile, or about no paper."""
    try:
        # As text, so that no other encoding hides a document type: a feed needs none, and one could unfold into anything.
        text = data.decode("utf-8")
        if len(data) > _LARGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise SourceError(
                f"what was answered about {number} is no list of papers; look at https://arxiv.org/abs/{number}"
            )
        entry = ElementTree.fromstring(text).find(f"{_ATOM}entry")
    except (UnicodeDecodeError, ElementTree.ParseError) as fault:
        raise SourceError(f"what was answered about {number} cannot be read ({fault}); try again later") from fault
    title = _text(entry, "title")
    published = _text(entry, "published")
    if entry is None or not title or not published[:4].isdigit():
        raise SourceError(
            f"arXiv knows no paper {number}; check the number, as it stands in https://arxiv.org/abs/{number}"
        )
    authors = [_text(author, "name") for author in entry.findall(f"{_ATOM}author")]
    return ArxivPaper(number, title, tuple(filter(None, authors)), int(published[:4]))


def _text(element: ElementTree.Element | None, name: str) -> str:
    found = element.find(f"{_ATOM}{name}") if element is not None else None
    return " ".join((found.text or "").split()) if found is not None else ""
