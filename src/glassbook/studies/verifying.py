"""Holding a notebook's studies to what they say: kept results are whole, nothing is stale, pages state what runs have."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import GlassbookError
from glassbook.evidence import ClaimSet, Judgement, read_claims
from glassbook.files.manifest import verify_manifest
from glassbook.runs.reading import RUN_FILE
from glassbook.studies.comparing import ClaimMove, compare_claims
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, REPORT_FILE, folder_of, load, names
from glassbook.studies.keeping import VIEWS_FOLDER, kept_folder, kept_judgements
from glassbook.studies.numbers import Kept, wrong_numbers
from glassbook.studies.pages import open_page, render
from glassbook.studies.reporting import changed_bars, check_none_dropped, report_into
from glassbook.studies.results import Results, from_kept, judge_as_begun, of_group
from glassbook.studies.running import Asker, run_seed
from glassbook.studies.staleness import Stale, question_of, stale_claims

DEFAULT_SIZE = "laptop"


@dataclass(frozen=True)
class KeptStudy:
    """Results that a notebook keeps of a study at `place`, which is `STUDY/SIZE`; they are read when first asked for."""

    study: Study
    place: str
    folder: Path

    @cached_property
    def results(self) -> Results:
        """Return the results; raise RunError where they were altered."""
        return from_kept(self.folder)

    @cached_property
    def claims(self) -> ClaimSet:
        """Return the study's claims as they stand now."""
        return read_claims(folder_of(self.study) / CLAIMS_FILE)


@dataclass(slots=True)
class Finding:
    """What verifying one place, or one page, has found: stale claims, faults, and what a new run moved."""

    place: str
    stale: list[Stale] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    forbidden: bool = False
    moves: list[ClaimMove] = field(default_factory=list)
    measured_again: bool = False

    @property
    def can_be_measured(self) -> bool:
        """Return whether another run would mend it: what is stale is not what a person must answer for."""
        return bool(self.stale) and not self.forbidden

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
        for place in sorted({record.parent.parent for record in folder.glob(f"*/seed-*/{RUN_FILE}")}):
            yield KeptStudy(study, place.relative_to(folder.parent).as_posix(), place)


def inspect(kept: KeptStudy, notebook: Path) -> Finding:
    """Return what is stale of kept results, and what is wrong with them and what lies beside them.

    Results that cannot be read, or claims that were changed after the runs began, are faults that no other run may mend.
    """
    found = Finding(kept.place)
    try:
        found.stale = stale_claims(kept.study, kept.results, kept.claims.claims)
        check_none_dropped(kept.results, kept.claims.claims)
        found.faults += changed_bars(kept.results, kept.claims.claims)
        found.forbidden = bool(found.faults)
        found.faults += [*_arm_faults(kept, found.stale), *_judgement_faults(kept), *_picture_faults(kept)]
    except GlassbookError as fault:
        found.faults.append(str(fault))
        found.forbidden = True
        return found
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


def run_findings(notebook: Path) -> list[Finding]:
    """Return for every run that was pinned into a notebook which of its files are not what they were."""
    found = []
    for path in sorted((notebook / "entries" / "runs").glob(f"*/{RUN_FILE}")):
        try:
            faults = verify_manifest(path.parent)
        except GlassbookError as fault:
            faults = [str(fault)]
        again = f"restore it, or write it anew with `glassbook pin {path.parent.name}`"
        if faults:
            place = path.parent.relative_to(notebook).as_posix()
            found.append(Finding(place, faults=[f"{fault}; {again}" for fault in faults]))
    return found


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


def _arm_faults(kept: KeptStudy, stale: Sequence[Stale]) -> list[str]:
    """Return which arms that the study measures a seed lacks; where code or settings changed, nobody knows."""
    if any({"code", "settings"} & set(one.causes) for one in stale):
        return []
    wanted = [arm.name for arm in question_of(kept.study, kept.results).arms()]
    return [
        f"seed {seed} has no items of the arm '{arm}', which the study measures; restore them or measure it again"
        for seed, one in kept.results.seeds.items()
        for arm in wanted
        if arm not in one.items
    ]


def _judgement_faults(kept: KeptStudy) -> list[str]:
    """Return which stored judgements do not follow from the items, or judge what is no claim."""
    fresh, stored = judge_as_begun(kept.results, kept.claims.claims), kept_judgements(kept.folder)
    made = {claim.id for claim in kept.claims.claims}
    wrong = [name for name, one in fresh.items() if not _alike(one.to_dict(), stored.get(name))]
    extra = [name for name in stored if name not in made]
    return [
        *(
            f"the judgement of '{one}' is not what its items give: {_differing(fresh[one], stored.get(one))}"
            for one in wrong
        ),
        *(f"there is a judgement of '{one}', which is no claim of the study; take it out" for one in extra),
    ]


def _picture_faults(kept: KeptStudy) -> list[str]:
    """Return which stored pictures are not what the study draws from the items now."""
    drawn = kept.study.views(kept.results.items, kept.study.settings[kept.results.size])
    fresh = {name: _payload(view.to_json()) for name, view in drawn.items()}
    stored = {path.stem: _payload(path.read_bytes()) for path in (kept.folder / VIEWS_FOLDER).glob("*.json")}
    return [
        f"the picture '{name}' is not what the items give; draw it with `glassbook study report {kept.study.name}`"
        for name in sorted({*fresh, *stored})
        if not _alike(fresh.get(name), stored.get(name))
    ]


def _payload(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None


def _alike(one: Any, other: Any) -> bool:
    """Return whether two JSON values say the same, numbers to nine digits: another processor rounds the tenth otherwise."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def _differing(fresh: Judgement, stored: dict[str, Any] | None) -> str:
    if stored is None:
        return "none is stored"
    now = fresh.to_dict()
    names = [name for name in now if not _alike(now[name], stored.get(name))]
    return ", ".join(f"{name} {stored.get(name)!r} instead of {now[name]!r}" for name in names[:2])
