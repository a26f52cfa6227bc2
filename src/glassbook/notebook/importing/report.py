"""What an import did: for people, for programs, and as a page that stays in the notebook."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from glassbook.notebook.importing.assets import Assets
from glassbook.notebook.importing.history import Dates
from glassbook.notebook.importing.journal import LEFT_ALONE, Fate, Result
from glassbook.notebook.importing.links import Links, Unresolved
from glassbook.notebook.importing.plan import PagePlan

_KINDS_OF_GAPS = {
    "link": "links that lead nowhere",
    "image": "absent pictures",
    "anchor": "links to a place that no page has",
    "remote image": "pictures that lie elsewhere",
}


@dataclass(frozen=True, slots=True)
class Went:
    """One entry: its title, kind and place, and the page and line where it stood."""

    title: str
    kind: str
    path: str
    page: str
    line: int
    date: str = ""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Something to look at: the page, the line of it (0 for its front matter), and a sentence."""

    page: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.sentence}" if self.line else f"{self.page}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All that an import has to tell. `results` say what was written this time; everything else is the same every time."""

    name: str
    went: tuple[Went, ...]
    results: tuple[Result, ...]
    doubts: tuple[Doubtful, ...]
    unresolved: tuple[Unresolved, ...]
    remarks: tuple[str, ...]
    anchors: dict[str, int]
    assets: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many entries of each kind there are."""
        return dict(sorted(Counter(went.kind for went in self.went).items()))

    @property
    def states(self) -> dict[str, int]:
        """Return how many files were written, updated, unchanged, or edited and left alone."""
        return dict(sorted(Counter(result.state for result in self.results).items()))

    def edited(self) -> tuple[str, ...]:
        """Return the files that a person has edited since and that were left alone."""
        return tuple(result.path for result in self.results if result.state == LEFT_ALONE)

    def to_dict(self) -> dict[str, Any]:
        """Return the report for a program."""
        return {
            "import": self.name,
            "counts": self.counts,
            "states": self.states,
            "entries": [asdict(went) for went in self.went],
            "files": [asdict(result) for result in self.results],
            "doubts": [asdict(doubt) for doubt in self.doubts],
            "unresolved": [asdict(gap) for gap in self.unresolved],
            "remarks": list(self.remarks),
            "anchors": self.anchors,
            "assets": list(self.assets),
        }

    def to_markdown(self) -> str:
        """Return the report as a page: what went where, what looked doubtful, what the source lacked."""
        lines = [f"# Import {self.name}", "", f"{len(self.went)} entries: {told(self.counts)}.", ""]
        lines += [f"{sum(self.anchors.values())} old ids lead to their new places: {told(self.anchors)}.", ""]
        lines += ["## What went where", "", "| entry | kind | file | from |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(went.title)} | {went.kind} | `{went.path}` | {_cell(went.page)}:{went.line} |"
            for went in self.went
        ]
        lines += _section("What looked doubtful", [str(doubt) for doubt in self.doubts])
        for kind, heading in _KINDS_OF_GAPS.items():
            gaps = [gap for gap in self.unresolved if gap.kind == kind]
            lines += _section(heading.capitalize(), [f"{gap.page}:{gap.line}: `{gap.address}`" for gap in gaps])
        lines += _section("Files that were copied", [f"`{name}`" for name in self.assets])
        lines += _section("Edited since, and left alone", [f"`{path}`" for path in self.edited()])
        lines += _section("Remarks", list(self.remarks))
        return "\n".join(lines) + "\n"


def make_report(
    name: str,
    plans: Sequence[PagePlan],
    links: Sequence[Links],
    fate: Fate,
    besides: tuple[Assets, Mapping[str, Dates], Sequence[str]],
) -> ImportReport:
    """Return the report of an import; `besides` are its files, its dates and its remarks."""
    assets, dates, remarks = besides
    went, doubts, anchors = [], [], Counter[str]()
    for plan in plans:
        label = plan.source.label
        for entry in plan.entries:
            line = plan.source.line(entry.part.start) if entry.part is not None else 1
            found = dates.get(entry.key, Dates()).first
            path = f"entries/{entry.path.as_posix()}"
            went.append(Went(entry.title, entry.kind, path, label, line, found))
        for doubt in [*plan.doubts, *plan.decision.doubts]:
            line = plan.source.line(doubt.line) if doubt.line >= 0 else 0
            doubts.append(Doubtful(label, line, doubt.sentence))
        anchors.update(anchor.made_by for anchor in plan.anchors.values())
    unresolved = tuple(gap for of_page in links for gap in of_page.unresolved)
    counted = dict(sorted((f"made by {maker}", number) for maker, number in anchors.items()))
    return ImportReport(
        name,
        tuple(went),
        tuple(fate.results),
        tuple(doubts),
        unresolved,
        tuple(remarks),
        counted,
        tuple(sorted(assets.copied)),
    )


def told(counts: dict[str, int]) -> str:
    """Return counts in words."""
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


def _section(heading: str, rows: list[str]) -> list[str]:
    return ["", f"## {heading}", "", *(f"- {row}" for row in rows)] if rows else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
