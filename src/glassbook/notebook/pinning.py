"""Pinning: a run becomes a draft entry, and what its page needs is copied beside it, so that the notebook stands by itself."""

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassbook.core.errors import RunError
from glassbook.files.atomic import atomic_folder, write_json, write_text
from glassbook.notebook.entries import slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import join_front_matter
from glassbook.notebook.kept import RUNS, VIEWS
from glassbook.notebook.notebook import ENTRIES_FOLDER
from glassbook.runs.reading import RUN_FILE, StoredRun
from glassbook.views.numbers import spell

LIMIT = 5_000_000
"""Bytes that the pictures of one run may take in a notebook."""

_KEPT = (
    "format",
    "id",
    "kind",
    "status",
    "started",
    "ended",
    "asked",
    "code",
    "weights",
    "data",
    "versions",
    "hardware",
    "cost",
)
_MACHINE = ("processor", "cores", "threads", "memory_bytes", "gpus", "cpu_capability", "bfloat16_products")


def pin(run: StoredRun, root: Path, title: str = "") -> Path:
    """Keep a finished run below `entries/runs`, write a draft entry that shows it, and return the entry's path.

    Pinning again changes nothing, and an entry that was written on is left as it is. Raises RunError for a run that has not
    ended well or was altered, NotebookError where its pictures are too large or the entry's name belongs to another.
    """
    if run.status != "done":
        raise RunError(
            f"the run {run.id} is {run.status}, and only a finished run can be pinned; run its command again"
        )
    if faults := run.faults():
        raise RunError(f"the run {run.id} is not what it was when it ended: {faults[0]}; run its command again")
    _keep(run, root / ENTRIES_FOLDER / RUNS / run.id)
    title = title.strip() or f"{run.kind.replace('-', ' ').capitalize()}, {str(run.record['started'])[:10]}"
    path = _path(root / ENTRIES_FOLDER / "posts", title, run.id)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, entry_of(run, title))
    return path


def entry_of(run: StoredRun, title: str) -> str:
    """Return a draft of an entry on a run: what was asked, every picture, every number, and how to run it again."""
    record = run.record
    fields: dict[str, Any] = {
        "title": title,
        "kind": "post",
        "date": datetime.date.fromisoformat(str(record["started"])[:10]),
        "draft": True,
        "run": run.id,
        "tags": ["run", run.kind],
        "summary": f"A run of kind {run.kind} on {_weights(record)}."
        if _weights(record)
        else f"A run of kind {run.kind}.",
    }
    parts = [f"What this shows, in your own words.\n\n{_asked(run)}", *_pictures(run), _numbers(run), _again(record)]
    return join_front_matter(fields, "\n\n".join(part.strip() for part in parts if part.strip()) + "\n")


def _keep(run: StoredRun, folder: Path) -> None:
    """Copy record and pictures; what is there from pinning before is left."""
    if (folder / RUN_FILE).is_file():
        return
    views = sorted((run.folder / VIEWS).glob("*.json"))
    size = sum(path.stat().st_size for path in views)
    if size > LIMIT:
        raise NotebookError(
            f"the pictures of the run {run.id} take {size / 1e6:.1f} MB and a notebook keeps {LIMIT / 1e6:g} MB of each run; "
            f"draw fewer items"
        )
    record = {name: run.record.get(name) for name in _KEPT}
    # Folders and names of a machine are nobody's business; what it can compute is.
    record["hardware"] = {name: (run.record.get("hardware") or {}).get(name) for name in _MACHINE}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as new:
        write_json(new / RUN_FILE, record)
        (new / VIEWS).mkdir()
        for path in views:
            shutil.copyfile(path, new / VIEWS / path.name)


def _path(folder: Path, title: str, run: str) -> Path:
    """Return where the entry on a run lies: the one there is already, or one of a free name."""
    for path in sorted(folder.glob("*.md")):
        if f"\nrun: {run}\n" in path.read_text(encoding="utf-8", errors="replace"):
            return path
    stem = slug_of(title)
    free = (folder / f"{name}.md" for name in (stem, f"{stem}-{run[-6:].lower()}"))
    found = next((path for path in free if not path.exists()), None)
    if found is None:
        raise NotebookError(f"an entry called '{stem}' is there already; give another title with --title")
    return found


def _asked(run: StoredRun) -> str:
    record = run.record
    weights = _weights(record)
    said = f" on {weights}" if weights else ""
    return f"This was measured{said} on {str(record['started'])[:10]}, with seed {record['asked']['seed']}."


def _weights(record: Mapping[str, Any]) -> str:
    weights = record.get("weights") or {}
    return ", ".join(str(weights[name]) for name in ("name", "quantization", "dtype") if weights.get(name))


def _pictures(run: StoredRun) -> list[str]:
    return [f"{{{{view {run.id}/{name}}}}}" for name in run.views()]


def _numbers(run: StoredRun) -> str:
    """Return the last value of every metric as a table."""
    last = {row["name"]: row for row in run.metrics()}
    if not last:
        return ""
    rows = [
        f"| {_cell(name)} | {_cell(_value(row['value']))} | {_cell(row.get('unit') or '')} |"
        for name, row in last.items()
    ]
    return "\n".join(["## Every number", "", "| metric | value | unit |", "|---|---|---|", *rows])


def _value(value: Any) -> str:
    return spell(value) if isinstance(value, int | float) else str(value)


def _cell(text: str) -> str:
    return (
        str(text).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("[", "\\[").replace("{{", "{ {")
    )


def _again(record: Mapping[str, Any]) -> str:
    words = [str(word) for word in record["asked"]["command"]]
    command = " ".join(word if word and " " not in word else f'"{word}"' for word in words).replace("```", "")
    return f"## Run it again\n\n```console\n$ {command}\n```"
