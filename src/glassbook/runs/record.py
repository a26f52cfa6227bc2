"""One execution and all that came out of it, in a folder that is the truth.

A Run's folder holds `run.json` (what was asked, on what, how it ended), `metrics.jsonl` (one acknowledged number a line),
`views/`, `artifacts/`, perhaps `report.html`, and, last of all, `manifest.json` with checksums.
"""

import errno
import json
import math
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from glassbook.core.errors import GlassbookError, RunError
from glassbook.files.atomic import disk_full, write_bytes, write_json, write_text
from glassbook.files.hashes import hash_json
from glassbook.files.manifest import write_manifest
from glassbook.files.safetensors import Content, write_safetensors
from glassbook.runs.code_hash import code_hash
from glassbook.runs.index import remember
from glassbook.runs.machine import Cost, machine, measure, versions
from glassbook.runs.places import runs_root
from glassbook.runs.reading import METRICS_FILE, REPORT_FILE, RUN_FILE
from glassbook.views.view import View, plain

STATUSES = ("running", "done", "failed", "interrupted", "killed")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class Run:
    """A run under way; made by `start_run`. What a method has returned from is on the disk."""

    folder: Path
    record: dict[str, Any]
    costs: list[Cost] = field(default_factory=list)
    earlier: frozenset[Path] = frozenset()
    """Files of an attempt that was cut short, which this one may replace."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def id(self) -> str:
        """Return the run's name: when it began, what kind it is, six digits of chance."""
        return self.folder.name

    def note_weights(self, identity: Mapping[str, Any]) -> None:
        """Record which weights the run was made on (the fields of a model's Identity)."""
        self._note("weights", dict(identity))

    def note_data(self, name: str, sha256: str, rows: int, licence: str) -> None:
        """Record a set of rows the run read, by the checksum of the decoded rows."""
        row = {"name": name, "sha256": sha256, "rows": rows, "licence": licence}
        if row not in self.record["data"]:
            self._note("data", [*self.record["data"], row])

    def note_hardware(self, facts: Mapping[str, Any]) -> None:
        """Add what only the caller knows of the machine (threads, GPU, precision of products)."""
        self._note("hardware", self.record["hardware"] | dict(facts))

    def metric(self, name: str, value: float, unit: str = "", step: int | None = None) -> None:
        """Append a number to the metrics; when this returns it survives a crash. NaN and infinities are kept as words."""
        self._check_open()
        number = float(value)
        row = {"name": name, "value": number if math.isfinite(number) else str(number), "unit": unit, "step": step}
        line = json.dumps(row | {"at": round(time.time(), 3)}) + "\n"
        with self._lock:
            _append(self.folder / METRICS_FILE, line.encode())

    def append(self, name: str, rows: Iterable[Any]) -> None:
        """Append plain data to the journal `name`, a line each; when this returns, every one of them survives a crash."""
        self._check_open()
        path = self.journal(name)
        lines = "".join(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        with self._lock:
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                # As with the metrics: the file is there, durably, before anything is acknowledged in it.
                write_bytes(path, b"")
            _append(path, lines.encode())

    def journal(self, name: str) -> Path:
        """Return where the journal `name` lies, for `read_lines`."""
        if not _NAME.fullmatch(name):
            raise RunError(f"'{name}' cannot name a file of a run; use letters, digits, '-', '_' and '.'")
        return self.folder / "artifacts" / f"{name}.jsonl"

    def save_view(self, name: str, view: View) -> Path:
        """Write a View's payload; return its path."""
        return self._save("views", name, ".json", lambda path: write_bytes(path, view.to_json()))

    def save_json(self, name: str, value: Any) -> Path:
        """Write plain data, NaN and infinities as words; return its path."""
        return self._save("artifacts", name, ".json", lambda path: write_json(path, plain(value)))

    def save_text(self, name: str, text: str) -> Path:
        """Write a text; return its path."""
        return self._save("artifacts", name, ".txt", lambda path: write_text(path, text))

    def save_tensors(
        self, name: str, tensors: Iterable[tuple[str, str, tuple[int, ...], Content]], metadata: Mapping[str, str]
    ) -> Path:
        """Write tensors as (name, dtype, shape, contents) into a safetensors file; return its path."""
        return self._save(
            "artifacts", name, ".safetensors", lambda path: write_safetensors(path, tensors, dict(metadata))
        )

    def save_report(self, html: str) -> Path:
        """Write the run's page; return its path."""
        self._check_open()
        write_text(self.folder / REPORT_FILE, html)
        return self.folder / REPORT_FILE

    @contextmanager
    def part(self, name: str, flop: float | None = None) -> Iterator[None]:
        """Measure what a part of the run costs: wall, processor, peak memory."""
        with measure(name, flop) as measured:
            try:
                yield
            finally:
                self.costs.append(measured.cost)

    def _save(self, kind: str, name: str, suffix: str, write: Any) -> Path:
        self._check_open()
        if not _NAME.fullmatch(name):
            raise RunError(f"'{name}' cannot name a file of a run; use letters, digits, '-', '_' and '.'")
        folder = self.folder / kind
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}{suffix}"
        if path.exists() and path not in self.earlier:
            raise RunError(f"the run {self.id} holds '{kind}/{path.name}' already; save it under another name")
        write(path)
        return path

    def _note(self, what: str, value: Any) -> None:
        self._check_open()
        self.record[what] = plain(value)
        self._write()

    def _check_open(self) -> None:
        if self.record["status"] != "running":
            raise RunError(f"the run {self.id} has ended and its checksums are written; start another to save more")

    def _write(self) -> None:
        with self._lock:
            write_json(self.folder / RUN_FILE, self.record)

    def _end(self, status: str, error: str | None, cost: Cost) -> None:
        self.record["status"], self.record["error"] = status, error
        self.record["ended"] = now()
        self.record["cost"] = {"total": msgspec.to_builtins(cost), "parts": msgspec.to_builtins(self.costs)}
        self._write()
        write_manifest(self.folder, {"run": self.id, "status": status})
        remember(self.folder)

    def _fail(self, fault: BaseException, cost: Cost) -> None:
        """Mark the run as what `fault` makes it; where even that cannot be written, say so in a note to the fault."""
        stopped = isinstance(fault, KeyboardInterrupt)
        said = "stopped by Ctrl-C" if stopped else f"{type(fault).__name__}: {fault}".splitlines()[0]
        try:
            self._end("interrupted" if stopped else "failed", said, cost)
        except (OSError, GlassbookError) as second:
            fault.add_note(f"the run {self.id} could not be marked as ended: {second}")


@contextmanager
def start_run(
    kind: str,
    command: Sequence[str],
    config: Mapping[str, Any],
    *,
    seed: int = 0,
    root: str | Path | None = None,
    modules: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Iterator[Run]:
    """Yield a run whose folder exists already; it ends as done, failed or interrupted as the block does.

    `modules` name the code whose import closure is hashed, `without` what of it makes no number and does not count. Raises
    RunError for a kind that cannot name a folder, a seed beyond 64 bits or a module that is not there, and GlassbookError
    when the folder cannot be made or written.
    """
    if not _NAME.fullmatch(kind):
        raise RunError(f"'{kind}' cannot name a kind of run; use letters, digits and '-'")
    if not -(2**63) <= seed < 2**63:
        raise RunError(f"the seed {seed} does not fit into 64 bits; choose a smaller one")
    asked = {"command": list(command), "config": plain(config), "seed": seed}
    code = {"modules": list(modules), "without": list(without), "sha256": code_hash(modules, without)}
    record = _first_record(kind, asked, code)
    run = Run(_new_folder(runs_root(root), kind), record)
    with under_way(run):
        # The list of metrics exists before anything is acknowledged in it, so its place in the folder is durable.
        write_bytes(run.folder / METRICS_FILE, b"")
        record["id"] = run.id
        run._write()
        remember(run.folder)
        yield run


@contextmanager
def under_way(run: Run) -> Iterator[None]:
    """Measure what the block costs, and end the run as done, failed or interrupted as the block does."""
    with measure("all") as measured:
        try:
            yield
            measured.finish()
            run._end("done", None, measured.cost)
        except BaseException as fault:
            run._fail(fault, measured.cost)
            raise


def _first_record(kind: str, asked: dict[str, Any], code: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": "glassbook-run/1",
        "id": "",
        "kind": kind,
        "status": "running",
        "error": None,
        "process": this_process(),
        "started": now(),
        "asked": asked | {"sha256": hash_json([kind, asked["config"], asked["seed"]])},
        "code": code,
        "weights": None,
        "data": [],
        "versions": versions(),
        "hardware": machine(),
    }


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other, for a record."""
    return {"pid": os.getpid(), "started": psutil.Process().create_time()}


def _new_folder(root: Path, kind: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = root / f"{stamp}-{kind}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise RunError(
            f"the run folder '{folder}' cannot be made ({reason}); choose another with GLASSBOOK_RUNS"
        ) from fault
    return folder


def _append(path: Path, line: bytes) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            start = os.fstat(number).st_size
            if os.write(number, line) != len(line):
                # Half a line must not stay: the next one would be joined to it.
                os.ftruncate(number, start)
                raise disk_full(path)
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as fault:
        if fault.errno in _DISK_FULL:
            raise disk_full(path) from fault
        raise RunError(
            f"'{path}' cannot be written ({fault.strerror}); check the folder and its permissions"
        ) from fault


def now() -> str:
    """Return the time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
