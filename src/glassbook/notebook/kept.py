"""What a notebook keeps of runs, read as files: judged claims, pictures, and the records of the runs themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from glassbook.core.errors import GlassbookError
from glassbook.evidence import Claim, ClaimSet, Judgement
from glassbook.evidence.claims import LEVEL
from glassbook.files.manifest import read_manifest
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.notebook import ENTRIES_FOLDER
from glassbook.runs.reading import METRICS_FILE, RUN_FILE, read_metrics
from glassbook.stats.intervals import Interval
from glassbook.views.view import View, read_view

STUDIES, RUNS, VIEWS = "studies", "runs", "views"
OUTCOME_FILE = "outcome.json"
USUAL_SIZE = "laptop"


@runtime_checkable
class Numbers(Protocol):
    """What holds the numbers of kept studies; `glassbook.studies.numbers.Kept` is one."""

    def value(self, place: str, field: str) -> float | str:
        """Return what stands at a field of the results kept at `STUDY/SIZE`, or of a pinned run; else EvidenceError."""
        ...

    def judgements(self, place: str) -> dict[str, dict[str, Any]]:
        """Return the judgements kept at `STUDY/SIZE`, by claim."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What the notebook is told of studies, whose room it cannot import: their numbers, their claims, and what is stale.

    `says` tells whether a text states a value. `stale` is place -> claim -> why; a place that is missing was not looked at.
    `changed` are the pinned runs whose code is no longer what it was.
    """

    numbers: Numbers
    claims: Callable[[str], ClaimSet]
    says: Callable[[str, float | str], bool]
    stale: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """The results of one study at one size, as a notebook keeps them: a folder with a folder for each seed."""

    study: str
    size: str
    folder: Path
    known: Known

    @property
    def name(self) -> str:
        """Return `STUDY/SIZE`."""
        return f"{self.study}/{self.size}"

    @property
    def address(self) -> str:
        """Return where the page of these runs lies on the site."""
        return f"runs/{self.study}-{self.size}.html"

    @cached_property
    def claims(self) -> ClaimSet:
        """Return the study's claims."""
        return self.known.claims(self.study)

    @cached_property
    def judgements(self) -> dict[str, Judgement]:
        """Return every judgement, in the order of the claims."""
        kept = self.known.numbers.judgements(self.name)
        try:
            return {one.id: read_judgement(one.id, kept[one.id]) for one in self.claims.claims if one.id in kept}
        except (KeyError, TypeError, ValueError) as fault:
            raise NotebookError(
                f"the judgements of {self.name} are damaged ({fault}); `glassbook study report` writes them"
            ) from fault

    @cached_property
    def records(self) -> dict[int, Mapping[str, Any]]:
        """Return the records of the runs, by seed."""
        found = [_read_record(path) for path in self.folder.glob(f"seed-*/{RUN_FILE}")]
        return dict(sorted(((int(record["asked"]["seed"]), record) for record in found), key=lambda one: one[0]))

    @property
    def date(self) -> str:
        """Return the day on which the first seed was begun."""
        return str(next(iter(self.records.values()))["started"])[:10] if self.records else ""

    def claim(self, name: str) -> tuple[Claim, Judgement]:
        """Return a claim and its judgement; raise NotebookError with the nearest name where it was never judged."""
        if name not in self.judgements:
            raise missing(f"no claim '{name}' was judged in {self.name}", name, self.judgements)
        return self.claims.find(name), self.judgements[name]

    def stale(self, claim: str) -> str:
        """Return why a claim is stale, or nothing."""
        return self.known.stale.get(self.name, {}).get(claim, "")

    def view(self, name: str) -> View:
        """Return a picture: one drawn from all seeds, else of the first seed that has it; raise NotebookError."""
        folders = [self.folder, *sorted(self.folder.glob("seed-*"))]
        return _view([folder / VIEWS for folder in folders], name, self.name)


@dataclass(frozen=True)
class KeptRun:
    """One run that `glassbook pin` copied into the notebook."""

    folder: Path

    @property
    def id(self) -> str:
        """Return the run's name."""
        return self.folder.name

    @property
    def address(self) -> str:
        """Return where its page lies on the site."""
        return f"runs/{self.id}.html"

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """Return what the run says of itself."""
        return _read_record(self.folder / RUN_FILE)

    @property
    def date(self) -> str:
        """Return the day on which it was begun."""
        return str(self.record["started"])[:10]

    @cached_property
    def metrics(self) -> dict[str, Mapping[str, Any]]:
        """Return the last number of every name, with its unit and step."""
        return {str(row["name"]): row for row in read_metrics(self.folder / METRICS_FILE)}

    @cached_property
    def outcome(self) -> dict[str, str]:
        """Return the sentences in which it says what came out."""
        path = self.folder / OUTCOME_FILE
        return {name: str(said) for name, said in _read_json(path).items()} if path.is_file() else {}

    @property
    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each of its files, as they were when it was pinned."""
        return {name: found.sha256 for name, found in read_manifest(self.folder).files.items()}

    def view(self, name: str) -> View:
        """Return a picture of the run; raise NotebookError with the nearest name where it has none of this name."""
        return _view([self.folder / VIEWS], name, self.id)

    def views(self) -> dict[str, View]:
        """Return all its pictures by name."""
        return {path.stem: self.view(path.stem) for path in sorted((self.folder / VIEWS).glob("*.json"))}


def places(root: Path, known: Known) -> dict[str, Place]:
    """Return the kept results of every study at every size, by `STUDY/SIZE`."""
    found = sorted({path.parent.parent for path in (root / ENTRIES_FOLDER / STUDIES).glob(f"*/*/seed-*/{RUN_FILE}")})
    return {f"{one.parent.name}/{one.name}": Place(one.parent.name, one.name, one, known) for one in found}


def kept_runs(root: Path) -> dict[str, KeptRun]:
    """Return the runs that were pinned, by name."""
    found = sorted(path.parent for path in (root / ENTRIES_FOLDER / RUNS).glob(f"*/{RUN_FILE}"))
    return {folder.name: KeptRun(folder) for folder in found}


def read_judgement(claim: str, kept: Mapping[str, Any]) -> Judgement:
    """Return a judgement as it was before it became JSON, in which infinite ends are words."""
    ends = {name: _interval(kept[name]) for name in ("interval", "baseline", "control")}
    needed = _interval(kept["precondition"]) if kept.get("precondition") else None
    return Judgement(
        claim=claim,
        bar_hash=kept["bar_hash"],
        verdict=kept["verdict"],
        because=kept["because"],
        each_seed={int(seed): float(value) for seed, value in kept["each_seed"].items()},
        n_items=kept["n_items"],
        precondition=needed,
        **ends,
    )


def missing(sentence: str, name: str, known: Mapping[str, object]) -> NotebookError:
    """Return a fault that ends with the nearest right name, or with all there are."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known) or 'none'}"
    return NotebookError(f"{sentence}; {hint}")


class _Asked(msgspec.Struct):
    command: list[str]
    config: dict[str, Any]
    seed: int


class _Record(msgspec.Struct):
    """What the record of a run must hold for a page to be made of it."""

    id: str
    kind: str
    status: str
    started: str
    asked: _Asked


def _read_record(path: Path) -> dict[str, Any]:
    record = _read_json(path)
    try:
        msgspec.convert(record, _Record)
    except msgspec.ValidationError as fault:
        raise _damaged(path, fault) from fault
    return record


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as fault:
        raise _damaged(path, fault) from fault


def _damaged(path: Path, fault: Exception) -> NotebookError:
    return NotebookError(f"this is damaged ({fault}); restore it, or pin or report its run again", path=str(path))


def _interval(kept: Mapping[str, Any]) -> Interval:
    estimate, low, high = (float(kept[name]) for name in ("estimate", "low", "high"))
    return Interval(estimate, low, high, float(kept.get("level", LEVEL)), int(kept.get("n", 0)))


def _view(folders: list[Path], name: str, place: str) -> View:
    known = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.json"))}
    if name not in known:
        raise missing(f"there is no picture '{name}' in {place}", name, known)
    try:
        return read_view(known[name].read_bytes())
    except GlassbookError as fault:
        raise NotebookError(f"the picture '{name}' of {place} is damaged ({fault}); write it again") from fault
