"""Holding a notebook's studies to what they say: kept results are whole, nothing is stale, pages state what runs have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glassbook.core.errors import GlassbookError
from glassbook.evidence import ClaimSet, Judgement, read_claims
from glassbook.files.atomic import write_text
from glassbook.runs.reading import RUN_FILE
from glassbook.studies.comparing import ClaimMove, compare_claims
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, REPORT_FILE, folder_of, load, names
from glassbook.studies.keeping import kept_folder, kept_judgements
from glassbook.studies.numbers import Kept, wrong_numbers
from glassbook.studies.pages import open_page, render
from glassbook.studies.reporting import report_into
from glassbook.studies.results import Results, from_kept, judge_as_begun, of_group
from glassbook.studies.running import Asker, run_seed
from glassbook.studies.staleness import Stale, question_of, stale_claims

DEFAULT_SIZE = "laptop"


@dataclass(frozen=True, slots=True)
class KeptStudy:
    """Results that a notebook keeps of a study at `place`, which is `STUDY/SIZE`."""

    study: Study
    place: str
    results: Results
    claims: ClaimSet


@dataclass(slots=True)
class Finding:
    """What verifying one place, or one page, has found: stale claims, faults, and what a new run moved."""

    place: str
    stale: list[Stale] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    moves: list[ClaimMove] = field(default_factory=list)
    measured_again: bool = False

    @property
    def holds(self) -> bool:
        """Return whether nothing is left to mend."""
        return not self.faults and (not self.stale or self.measured_again)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {
            "place": self.place,
            "holds": self.holds,
            "stale": {one.claim: list(one.causes) for one in self.stale},
            "faults": list(self.faults),
            "measured_again": self.measured_again,
            "moved": [one.claim for one in self.moves if one.moved],
            "did_not_move": [one.claim for one in self.moves if not one.moved],
        }


def kept_studies(notebook: Path, chosen: Sequence[str] = ()) -> Iterator[KeptStudy]:
    """Yield the results that a notebook keeps, of the studies named or of all; raise InputError for a name that is none."""
    for name in chosen or names():
        study = load(name)
        folder = kept_folder(notebook, study.name, DEFAULT_SIZE).parent
        for record in sorted(folder.glob(f"*/seed-0/{RUN_FILE}")):
            place = record.parent.parent
            claims = read_claims(folder_of(study) / CLAIMS_FILE)
            yield KeptStudy(study, place.relative_to(folder.parent).as_posix(), from_kept(place), claims)


def inspect(kept: KeptStudy, notebook: Path) -> Finding:
    """Return what is stale of kept results, and what is wrong with what lies beside them."""
    found = Finding(kept.place, stale_claims(kept.study, kept.results, kept.claims.claims))
    fresh = judge_as_begun(kept.results, kept.claims.claims)
    stored = kept_judgements(notebook / "entries" / "studies" / kept.place)
    found.faults += [
        f"the judgement of '{name}' is not what its items give: {_differing(one, stored.get(name))}"
        for name, one in fresh.items()
        if stored.get(name) != one.to_dict()
    ]
    found.faults += _page_faults(kept, notebook)
    return found


def measure_again(kept: KeptStudy, notebook: Path, asker: Asker) -> list[ClaimMove]:
    """Measure every seed of kept results anew, keep what came out, and return what became of every claim."""
    question = question_of(kept.study, kept.results)
    before = judge_as_begun(kept.results, kept.claims.claims)
    results = of_group([run_seed(question, seed, asker) for seed in sorted(kept.results.seeds)])
    report = report_into(notebook, kept.study, results)
    return compare_claims(before, report.judgements)


def page_findings(notebook: Path) -> list[Finding]:
    """Return for every Markdown page of a notebook that states numbers of runs those that its runs do not have."""
    kept, found = Kept(notebook), []
    for page in sorted((notebook / "entries").rglob("*.md")):
        if faults := wrong_numbers(page, kept):
            found.append(Finding(page.relative_to(notebook).as_posix(), faults=faults))
    return found


def rewrite_page(kept: KeptStudy, notebook: Path) -> None:
    """Write the page of kept results anew, as its text or the machinery of pages may have changed since."""
    page = open_page(kept.study, notebook, kept.place)
    write_text(page.kept.folder / f"{kept.study.name}.md", render(page))


def _page_faults(kept: KeptStudy, notebook: Path) -> list[str]:
    """Return whether the study's page is the one that its text and these results make."""
    has_text = (folder_of(kept.study) / REPORT_FILE).is_file()
    if not has_text or kept.place != f"{kept.study.name}/{DEFAULT_SIZE}":
        return []
    path = notebook / "entries" / "studies" / f"{kept.study.name}.md"
    again = f"write it with `glassbook study report {kept.study.name}`"
    if not path.is_file():
        return [f"there is no page '{path.name}'; {again}"]
    try:
        is_same = path.read_text(encoding="utf-8") == render(open_page(kept.study, notebook, kept.place))
    except GlassbookError as fault:
        return [str(fault)]
    return [] if is_same else [f"the page '{path.name}' is not what its results and its text make; {again}"]


def _differing(fresh: Judgement, stored: dict[str, Any] | None) -> str:
    if stored is None:
        return "none is stored"
    now = fresh.to_dict()
    names = [name for name in now if now[name] != stored.get(name)]
    return ", ".join(f"{name} {stored.get(name)!r} instead of {now[name]!r}" for name in names[:2])
