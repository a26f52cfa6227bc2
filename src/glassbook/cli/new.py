"""`glassbook new`: an entry of any kind, or a fresh notebook."""

import datetime
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.notebook_options import NotebookFolder, need_site
from glassbook.cli.options import Json
from glassbook.cli.output import print_json
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.evidence.citations import Reference

_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?10\.\d{4,}/", re.IGNORECASE)

What = Annotated[
    str,
    typer.Argument(metavar="KIND", help="paper, term, log, achievement, meeting, post, project, page; or notebook."),
]
Title = Annotated[
    str,
    typer.Argument(
        metavar="TITLE", help="Its title; of a paper an arXiv number, DOI or citation key; of a notebook its folder."
    ),
]
Day = Annotated[str | None, typer.Option("--date", metavar="DAY", help="Its day, as 2026-11-23; else today.")]
Bib = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A BibTeX or CSL-JSON file to look for the paper in, before arXiv is asked."),
]


def new(
    kind: What, title: Title, notebook: NotebookFolder = None, date: Day = None, bib: Bib = None, as_json: Json = False
) -> None:
    """Make an entry, or a fresh notebook; what is there already is never written over.

    A paper is filled in from entries/refs.bib or --bib, else from arXiv where there is a network. A meeting is private.
    """
    need_site()
    from glassbook.notebook.new import MADE, new_entry
    from glassbook.notebook.notebook import find_root
    from glassbook.notebook.scaffold import new_notebook

    day = _day(date)
    if kind == "notebook":
        path = new_notebook(Path(title), day)
    elif kind not in MADE:
        raise InputError(_unknown(kind, [*MADE, "notebook"]))
    elif kind == "paper":
        path = _paper(find_root(notebook), title, day, bib)
    else:
        path = new_entry(find_root(notebook), kind, title, day)
    if as_json:
        print_json({"path": str(path)})
    else:
        typer.echo(str(path))


def _unknown(kind: str, known: list[str]) -> str:
    if kind == "study":
        return "the page of a study is written by `glassbook study report`, from what its runs measured"
    near = get_close_matches(kind, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"it can be one of {', '.join(known)}"
    return f"'{kind}' cannot be made; {hint}"


def _paper(root: Path, text: str, day: datetime.date, bib: Path | None) -> Path:
    """Write an entry on a paper, and its reference into the bibliography where that has none; return the entry's path."""
    from glassbook.notebook.bibliography import add_reference
    from glassbook.notebook.new import new_entry, new_path
    from glassbook.notebook.notebook import read_references

    kept = read_references(root)
    found = _reference(kept, text, bib)
    if found is None:
        return new_entry(root, "paper", text, day)
    # Asked first, so that no reference is left behind by an entry that cannot be written.
    new_path(root, "paper", found.title)
    if found.key not in kept:
        add_reference(root, found)
    return new_entry(root, "paper", found.title, day, found)


def _reference(kept: Mapping[str, "Reference"], text: str, bib: Path | None) -> "Reference | None":
    """Return the paper that is meant, its key free or its own; None for a title that no bibliography has.

    Raises SourceError without a network, InputError for a DOI, or anything looked for in --bib, that is not there.
    """
    from msgspec.structs import replace

    from glassbook.evidence.citations import read_bibliography
    from glassbook.notebook.bibliography import find_paper, free_key, reference_from
    from glassbook.sources.arxiv import arxiv_number, ask_arxiv

    number = arxiv_number(text)
    if (known := find_paper(kept, text, number)) is not None:
        return known
    found = find_paper(read_bibliography(bib), text, number) if bib else None
    if found is None and number is not None:
        paper = ask_arxiv(number)
        found = reference_from(paper.title, paper.authors, paper.year, number)
    if found is None and (bib or _DOI.match(text)):
        raise InputError(
            f"no bibliography has '{text}'; write its BibTeX into entries/refs.bib, or give its title as it stands there"
        )
    return replace(found, key=free_key(found, kept)) if found else None


def _day(text: str | None) -> datetime.date:
    if text is None:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as fault:
        raise InputError(f"--date {text} is no day; write it as 2026-11-23") from fault
