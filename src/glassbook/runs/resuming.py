"""Going on with a run that was interrupted, killed or failed: the same question, weights and code, or none of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glassbook.core.errors import RunError
from glassbook.files.hashes import hash_json
from glassbook.files.manifest import MANIFEST_NAME
from glassbook.runs.code_hash import code_hash
from glassbook.runs.index import find_run, remember
from glassbook.runs.reading import METRICS_FILE, StoredRun, read_run
from glassbook.runs.record import Run, now, this_process, under_way
from glassbook.views.view import plain

_KEPT_OF_AN_ATTEMPT = ("status", "error", "started", "ended", "process", "cost")


@contextmanager
def resume_run(
    which: str | Path,
    kind: str,
    config: Mapping[str, Any],
    *,
    seed: int = 0,
    weights: Mapping[str, Any] | None = None,
    root: str | Path | None = None,
) -> Iterator[Run]:
    """Yield a run that was cut short, open again, with all that it had acknowledged; it ends as `start_run`'s does.

    `which` is its folder, or its name as `find_run` takes it. What is asked must be what was asked: `kind`, `config` and
    `seed`, the code then named, and the fingerprint in `weights` (the fields of a model's Identity); else RunError says what
    differs. The record keeps every earlier attempt under `history`.
    """
    folder = Path(which)
    stored = read_run(folder) if folder.is_dir() else find_run(str(which), root)
    _check_can_go_on(stored)
    _check_same(stored, hash_json([kind, plain(config), seed]), weights)
    run = _reopened(stored)
    with under_way(run):
        yield run


def _check_can_go_on(stored: StoredRun) -> None:
    if stored.status == "running":
        raise RunError(
            f"the run {stored.id} is still at work in process {stored.record['process']['pid']}; wait for it"
        )
    if stored.status == "done":
        raise RunError(f"the run {stored.id} is done, so there is nothing to go on with; start another")


def _check_same(stored: StoredRun, asked: str, weights: Mapping[str, Any] | None) -> None:
    """Raise RunError where what is asked now would not give the numbers that the run began to give."""
    record, said = stored.record, f"the run {stored.id} cannot go on"
    if record["asked"].get("sha256") != asked:
        raise RunError(f"{said}, since other options were asked for then; give the same ones or start another run")
    known = record.get("weights")
    if known and weights and known.get("fingerprint") != weights.get("fingerprint"):
        raise RunError(
            f"{said}, since it was made on weights {str(known.get('fingerprint'))[:16]} and these are "
            f"{str(weights.get('fingerprint'))[:16]}; open the same model or start another run"
        )
    code = record["code"]
    if code["sha256"] != code_hash(code["modules"], code.get("without", ())):
        raise RunError(f"{said}, since the code behind it has changed; start another run")


def _reopened(stored: StoredRun) -> Run:
    """Return the run open for writing: torn lines cut off, its checksums gone, its record saying that it is at work."""
    folder = stored.folder
    earlier = frozenset(path for kind in ("views", "artifacts") for path in (folder / kind).glob("*"))
    for journal in (folder / METRICS_FILE, *(folder / "artifacts").glob("*.jsonl")):
        _cut_torn_line(journal)
    # Checksums of files that are about to change would call the run altered.
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    record = dict(stored.record)
    attempt = {name: record.get(name) for name in _KEPT_OF_AN_ATTEMPT} | {"status": stored.status}
    record["history"] = [*record.get("history", []), attempt]
    record |= {"status": "running", "error": None, "process": this_process(), "resumed": now(), "cost": None}
    record.pop("ended", None)
    run = Run(folder, record, earlier=earlier)
    run._write()
    remember(folder)
    return run


def _cut_torn_line(path: Path) -> None:
    """Remove half a line at the end of a journal: the next one would be joined to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        number = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(number, whole)
            os.fsync(number)
        finally:
            os.close(number)
