"""New entries: the file of each kind with its fields filled in as far as they are known, and the headings one begins with."""

import datetime
import re
from pathlib import Path
from typing import Any

from glassbook.evidence.citations import Reference
from glassbook.files.atomic import write_text
from glassbook.notebook.entries import KINDS, slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import join_front_matter
from glassbook.notebook.notebook import ENTRIES_FOLDER

NOTES = ("Problem", "Proposal", "Purpose", "Background", "Observations")
"""The headings of notes on a paper."""

MADE = tuple(name for name in KINDS if name != "study")
"""The kinds that a person writes; the pages of studies are written by `glassbook study report`."""

# Comments, since what is only meant for the writer is not shown to readers.
_BODIES = {
    "paper": "".join(f"## {heading}\n\n" for heading in NOTES),
    "term": "<!-- What it is, in a sentence; then why it matters, how it works, and what is easily misunderstood. -->\n",
    "log": "## Courses\n\n## Papers and articles\n\n## Sessions and lectures\n\n## What comes next\n",
    "achievement": "- \n",
    "meeting": "## What was asked\n\n## What I take along\n\n## To do\n\n- [ ] \n",
    "project": "<!-- What it is for, what I do in it, and how far it is. -->\n",
}


def new_path(root: Path, kind: str, title: str) -> Path:
    """Return where a new entry would lie; raise NotebookError where its name is taken, in whatever folder."""
    if not title.strip():
        raise NotebookError(f"a {kind} needs a title; write it after `glassbook new {kind}`")
    name = f"{slug_of(title)}.md"
    for other in KINDS:
        path = root / ENTRIES_FOLDER / KINDS.find(other).folder / name
        if path.exists():
            raise NotebookError(f"'{path}' is there already and stays as it is; choose another title, or go on in it")
    return root / ENTRIES_FOLDER / KINDS.find(kind).folder / name


def new_entry(root: Path, kind: str, title: str, day: datetime.date, reference: Reference | None = None) -> Path:
    """Write a new entry and return its path; nothing that is there is written over (NotebookError).

    A log has a period and an achievement a quarter: those in the title, else those of the day. A meeting is private.
    """
    path = new_path(root, kind, title)
    known = paper_fields(reference) if reference else _of_kind(kind, title, day)
    fields = {"title": " ".join(title.split()), "kind": kind, **known, "date": day}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, join_front_matter(fields, _BODIES.get(kind, "")))
    return path


def paper_fields(reference: Reference) -> dict[str, Any]:
    """Return the fields of an entry on a paper, as far as its reference knows them."""
    found = {
        "cite": reference.key,
        "authors": [str(author) for author in reference.authors],
        "year": reference.year,
        "arxiv": reference.arxiv,
        "doi": reference.doi,
        "url": reference.link,
    }
    return {name: value for name, value in found.items() if value} | {"topics": [], "status": "to read"}


def quarter_of(day: datetime.date) -> str:
    """Return the quarter of a day, as `2026-Q4`."""
    return f"{day.year}-Q{(day.month - 1) // 3 + 1}"


def _of_kind(kind: str, title: str, day: datetime.date) -> dict[str, Any]:
    quarter = re.search(r"\b\d{4}-Q[1-4]\b", title)
    period = re.match(r"\d{4}(?:-\S+)?", title)
    fields: dict[str, dict[str, Any]] = {
        "paper": {"authors": [], "topics": [], "status": "to read"},
        "term": {"aliases": [], "level": 3, "definition": ""},
        "log": {"period": period[0] if period else quarter_of(day)},
        "achievement": {"quarter": quarter[0] if quarter else quarter_of(day)},
        "meeting": {"with": "", "private": True},
        "project": {"role": "", "period": f"since {day:%Y-%m}"},
    }
    return fields.get(kind, {})
