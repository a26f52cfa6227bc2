"""`glassbook new`: an entry of any kind, or a fresh notebook."""

import datetime
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
    from glassbook.notebook.entries import KINDS
    from glassbook.notebook.notebook import find_root
    from glassbook.notebook.scaffold import new_notebook

    day = _day(date)
    if kind == "notebook":
        path = new_notebook(Path(title), day)
    elif kind in KINDS and kind != "study":
        path = _entry(find_root(notebook), kind, title, day, bib)
    else:
        known = [name for name in KINDS if name != "study"] + ["notebook"]
        near = get_close_matches(kind, known, n=1)
        hint = (
            "`glassbook study report` writes those" if kind == "study" else f"did you mean '{near[0]}'?" if near else ""
        )
        raise InputError(f"'{kind}' cannot be made; {hint or 'it can be one of ' + ', '.join(known)}")
    if as_json:
        print_json({"path": str(path)})
    else:
        typer.echo(str(path))


def _entry(root: Path, kind: str, title: str, day: datetime.date, bib: Path | None) -> Path:
    from glassbook.notebook.new import add_reference, new_entry, paper_fields

    found = _reference(root, title, bib) if kind == "paper" else None
    if found is None:
        return new_entry(root, kind, title, day)
    path = new_entry(root, kind, found.title, day, paper_fields(found))
    add_reference(root, found)
    return path


def _reference(root: Path, text: str, bib: Path | None) -> "Reference | None":
    """Return the paper that is meant: from the bibliographies, else from arXiv; None for a title that nobody knows."""
    from glassbook.evidence.citations import read_bibliography
    from glassbook.notebook.new import find_paper, reference_from
    from glassbook.notebook.notebook import read_references
    from glassbook.sources.arxiv import arxiv_number, ask_arxiv

    number, kept = arxiv_number(text), read_references(root)
    known = {**kept, **(read_bibliography(bib) if bib else {})}
    found = find_paper(known, text, number)
    if found is not None or number is None:
        return found
    paper = ask_arxiv(number)
    return reference_from(paper.title, list(paper.authors), paper.year, number, kept)


def _day(text: str | None) -> datetime.date:
    if text is None:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as fault:
        raise InputError(f"--date {text} is no day; write it as 2026-11-23") from fault
