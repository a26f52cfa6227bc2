"""Pinning: a run becomes a draft entry, and what its page needs is copied beside it, so that the notebook stands by itself."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from glassbook.core.errors import FileFormatError, RunError
from glassbook.files.atomic import atomic_folder, write_json, write_text
from glassbook.files.manifest import verify_manifest, write_manifest
from glassbook.notebook.drafting import draft_of
from glassbook.notebook.entries import slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import split_front_matter
from glassbook.notebook.kept import OUTCOME_FILE, RUNS, VIEWS
from glassbook.notebook.notebook import ENTRIES_FOLDER
from glassbook.runs.keeping import kept_record
from glassbook.runs.reading import METRICS_FILE, RUN_FILE, StoredRun

LIMIT = 5_000_000
"""Bytes that the record, the numbers and the pictures of one run may take in a notebook."""

_TOLD_FIRST = ("sweep", "check")


def pin(run: StoredRun, root: Path, title: str = "") -> Path:
    """Keep a finished run below `entries/runs`, write a draft entry that shows it, and return the entry's path.

    Pinning again changes nothing, and an entry that was written on is left as it is. Raises RunError for a run that has not
    ended well or was altered, NotebookError where it is too large or the entry's name belongs to another.
    """
    if run.status != "done":
        raise RunError(
            f"the run {run.id} is {run.status}, and only a finished run can be pinned; run its command again"
        )
    if faults := run.faults():
        raise RunError(f"the run {run.id} is not what it was when it ended: {faults[0]}; run its command again")
    outcome = outcome_of(run)
    title = " ".join(title.split()) or f"{run.kind.replace('-', ' ').capitalize()}, {str(run.record['started'])[:10]}"
    path = _path(root / ENTRIES_FOLDER, title, run.id)
    _keep(run, outcome, root / ENTRIES_FOLDER / RUNS / run.id)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, draft_of(run, title, outcome))
    return path


def outcome_of(run: StoredRun) -> dict[str, str]:
    """Return the sentences in which a run says what came out, by the artifact that holds each; of most runs none."""
    found: dict[str, str] = {}
    for path in sorted((run.folder / "artifacts").glob("*.json"), key=lambda path: (_rank(path.stem), path.stem)):
        try:
            held = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError:
            # What is no JSON of ours holds no sentence of ours.
            continue
        if isinstance(held, Mapping) and isinstance(held.get("sentence"), str):
            found[path.stem] = held["sentence"]
    return found


def _rank(name: str) -> int:
    return _TOLD_FIRST.index(name) if name in _TOLD_FIRST else len(_TOLD_FIRST)


def _keep(run: StoredRun, outcome: Mapping[str, str], folder: Path) -> None:
    """Copy record, numbers and pictures with a list of their checksums; a copy that is whole is left."""
    if _is_whole(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as new:
        write_json(new / RUN_FILE, kept_record(run.record))
        (new / VIEWS).mkdir()
        pictures = sorted((run.folder / VIEWS).glob("*.json"))
        for path in [run.folder / METRICS_FILE, *pictures]:
            if path.is_file():
                shutil.copyfile(path, new / path.relative_to(run.folder))
        if outcome:
            write_json(new / OUTCOME_FILE, dict(outcome))
        write_manifest(new, {"run": run.id})
        _check_size(run.id, new)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / RUN_FILE).is_file() and not verify_manifest(folder)
    except FileFormatError:
        return False


def _check_size(run: str, new: Path) -> None:
    sizes = {path.relative_to(new).as_posix(): path.stat().st_size for path in new.rglob("*") if path.is_file()}
    total = sum(sizes.values())
    if total > LIMIT:
        largest = max(sizes, key=lambda name: sizes[name])
        raise NotebookError(
            f"the run {run} would take {total / 1e6:.1f} MB and a notebook keeps {LIMIT / 1e6:g} MB of each run; its largest "
            f"file is '{largest}' with {sizes[largest] / 1e6:.1f} MB, so run it again with fewer items or steps"
        )


def _path(entries: Path, title: str, run: str) -> Path:
    """Return where the entry on a run lies: the one there is already, or one of a name that no entry has."""
    there = sorted(entries.glob("*/*.md"))
    for path in there:
        if run in path.read_text(encoding="utf-8", errors="replace") and _shows(path, run):
            return path
    stem, taken = slug_of(title), {slug_of(path.stem) for path in there}
    name = next((name for name in (stem, f"{stem}-{run[-6:].lower()}") if name not in taken), None)
    if name is None:
        raise NotebookError(f"an entry called '{stem}' is there already; give another title with --title")
    return entries / "posts" / f"{name}.md"


def _shows(path: Path, run: str) -> bool:
    """Return whether the entry says that it shows the run; one that cannot be read is told of by a build, not here."""
    try:
        fields, _, _ = split_front_matter(path.read_text(encoding="utf-8"), str(path))
    except (NotebookError, UnicodeDecodeError):
        return False
    return fields.get("run") == run
