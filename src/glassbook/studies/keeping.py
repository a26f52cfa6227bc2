"""Keeping results in a notebook: small enough to be committed, whole enough to judge every claim again without a Run."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import FileFormatError, InputError, RunError
from glassbook.evidence import Judgement
from glassbook.files.atomic import atomic_folder, write_bytes, write_json
from glassbook.runs.keeping import kept_record
from glassbook.runs.places import NOTEBOOK_FILE
from glassbook.runs.reading import RUN_FILE, StoredRun
from glassbook.studies.contract import Picture
from glassbook.studies.question import Question
from glassbook.studies.records import JOURNAL, items_folder, journal_of
from glassbook.studies.results import ITEMS_FOLDER, JUDGED, Results, from_kept, from_runs
from glassbook.views.view import View, read_view

LIMIT = 2_000_000
"""Bytes that all kept results of one study may take: its items, records, judgements and views at every size."""

JUDGEMENTS_FILE, VIEWS_FOLDER = "judgements.json", "views"


class _Ends(msgspec.Struct):
    # An infinite end is a word.
    estimate: float | str
    low: float | str
    high: float | str


class _Stored(msgspec.Struct):
    """What every stored judgement must have for a page to state it."""

    bar_hash: str
    verdict: str | None
    interval: _Ends
    each_seed: dict[str, float | str]
    n_items: int
    baseline: _Ends
    control: _Ends
    precondition: _Ends | None


def notebook_folder(given: str | Path | None = None) -> Path:
    """Return the notebook's folder: the one given, else the nearest above that holds `glassbook.toml`; raise InputError."""
    here = Path.cwd()
    places = [Path(given).expanduser()] if given else [here, *here.parents]
    found = next((folder for folder in places if (folder / NOTEBOOK_FILE).is_file()), None)
    if found is None:
        where = f"'{given}' is no notebook" if given else "no folder above this one is a notebook"
        raise InputError(f"{where}: there is no {NOTEBOOK_FILE}; make one there, or name another with --notebook")
    return found


def kept_folder(notebook: Path, study: str, size: str, weights: str = "") -> Path:
    """Return where a notebook keeps the results of a study; those on weights of the reader's choice lie apart."""
    return notebook / "entries" / "studies" / study / (f"{size}-{Path(weights).name}" if weights else size)


def folder_for(notebook: Path, results: Results) -> Path:
    """Return where a notebook keeps these results: by their study, size and, where the reader chose them, weights."""
    weights = results.config["settings"].get("weights") or ""
    return kept_folder(notebook, results.study, results.size, str(weights))


def from_runs_or_kept(question: Question, runs: Sequence[StoredRun], notebook: Path) -> Results:
    """Return what finished Runs hold, as `from_runs` does, or where there are none what a notebook keeps of them."""
    weights = str(question.config()["settings"].get("weights") or "")
    folder = kept_folder(notebook, question.study.name, question.size, weights)
    try:
        return from_runs(question, runs)
    except RunError:
        if not folder.is_dir():
            raise
        return from_kept(folder)


def keep(results: Results, folder: Path, judgements: Mapping[str, Judgement], views: Mapping[str, Picture]) -> Path:
    """Write results into `folder`, in the place of those that it held; return it.

    Raises InputError for a smoke run, and where the study's results would take more than LIMIT bytes: then nothing is written.
    """
    if results.size not in JUDGED:
        raise InputError(
            f"a {results.size} run shows that '{results.study}' works and nothing of the paper, so it is not kept; "
            f"run it with --size laptop"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as new:
        for seed in results.seeds:
            _keep_seed(results, seed, new / f"seed-{seed}")
        write_json(new / JUDGEMENTS_FILE, {name: one.to_dict() for name, one in judgements.items()})
        for name, view in views.items():
            _write_into(new / VIEWS_FOLDER / f"{name}.json", view.to_json())
        _check_size(results.study, folder, new)
    return folder


def kept_judgements(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the judgements that lie with kept results, by claim; raise FileFormatError where they are damaged."""
    path = folder / JUDGEMENTS_FILE
    if not path.is_file():
        raise FileFormatError(f"there is no '{path}', where judgements are kept; write the report of the study")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
        for judged in found.values():
            msgspec.convert(judged, _Stored)
    except msgspec.DecodeError as fault:
        raise FileFormatError(f"'{path}' is damaged ({fault}); write the report again") from fault
    return found


def kept_views(folder: Path) -> dict[str, View]:
    """Return the pictures that lie with kept results, by name."""
    return {path.stem: read_view(path.read_bytes()) for path in sorted((folder / VIEWS_FOLDER).glob("*.json"))}


def bytes_of(folder: Path) -> int:
    """Return how many bytes the files below a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _keep_seed(results: Results, seed: int, folder: Path) -> None:
    """Copy one seed's items, journal and pictures, and of its record what says how it was made."""
    source = results.seeds[seed]
    is_run = journal_of(source.folder).is_file()
    items = items_folder(source.folder) if is_run else source.folder / ITEMS_FOLDER
    journal = journal_of(source.folder) if is_run else source.folder / f"{JOURNAL}.jsonl"
    for cell in source.cells:
        _write_into(folder / ITEMS_FOLDER / f"{cell.arm}.npz", (items / f"{cell.arm}.npz").read_bytes())
    shutil.copyfile(journal, folder / f"{JOURNAL}.jsonl")
    for path in sorted((source.folder / VIEWS_FOLDER).glob("*.json")):
        _write_into(folder / VIEWS_FOLDER / path.name, path.read_bytes())
    write_json(folder / RUN_FILE, kept_record(source.record))


def _write_into(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def _check_size(study: str, folder: Path, new: Path) -> None:
    """Raise InputError where the new results, with those of the study's other sizes, are beyond the limit."""
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path.name not in (folder.name, new.name)]
    total = bytes_of(new) + sum(map(bytes_of, others))
    if total <= LIMIT:
        return
    largest = max((path for path in new.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    raise InputError(
        f"the results of the study '{study}' take {total / 1e6:.2f} MB and a notebook keeps {LIMIT / 1e6:g} MB of each; "
        f"the largest file is '{largest.relative_to(new)}' with {largest.stat().st_size / 1e6:.2f} MB; measure fewer items"
    )
