"""Reading a run's folder, finished or not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import psutil

from glassbook.core.errors import RunError
from glassbook.files.manifest import MANIFEST_NAME, verify_manifest
from glassbook.views.view import View, read_view

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
REPORT_FILE = "report.html"


class _Asked(msgspec.Struct):
    command: list[str]
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    config: dict[str, Any]


class _Process(msgspec.Struct):
    pid: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    started: float


class _Total(msgspec.Struct):
    wall_s: float


class _Cost(msgspec.Struct):
    total: _Total
    parts: list[dict[str, Any]]


class _Record(msgspec.Struct):
    """What `run.json` must hold for anything else to be made of it."""

    kind: str
    status: Literal["running", "done", "failed", "interrupted"]
    started: str
    asked: _Asked
    process: _Process
    data: list[dict[str, Any]]
    weights: dict[str, Any] | None = None
    cost: _Cost | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a run folder says of itself. `status` is `killed` where the run says it is running and its process is gone."""

    folder: Path
    record: Mapping[str, Any]
    status: str

    @property
    def id(self) -> str:
        """Return the run's name."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """Return what kind of run it is."""
        return str(self.record["kind"])

    @property
    def report(self) -> Path | None:
        """Return the path of the run's page, or None where it made none."""
        path = self.folder / REPORT_FILE
        return path if path.is_file() else None

    @property
    def wall_s(self) -> float | None:
        """Return how long the run took, or None before its end."""
        cost = self.record.get("cost")
        return float(cost["total"]["wall_s"]) if cost else None

    def metrics(self) -> list[dict[str, Any]]:
        """Return every acknowledged metric in order; half a line at the end of a killed run is left out."""
        return read_metrics(self.folder / METRICS_FILE)

    def views(self) -> dict[str, View]:
        """Return the run's pictures by name."""
        return {path.stem: read_view(path.read_bytes()) for path in sorted((self.folder / "views").glob("*.json"))}

    def faults(self) -> list[str]:
        """Return what differs from the manifest, one sentence each; a run that never ended has none to differ from."""
        return (
            verify_manifest(self.folder)
            if (self.folder / MANIFEST_NAME).exists()
            else ["the run never ended: it has no manifest"]
        )


def read_lines(path: Path) -> list[Any]:
    """Return what the lines of a journal hold, in order; half a line at the end of a killed run is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    try:
        return [json.loads(line) for line in whole.split(b"\n") if line]
    except ValueError as fault:
        raise RunError(f"'{path}' is damaged ({fault}); the run's other files may be whole") from fault


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the metrics in a file, in order; raise RunError where a line is none."""
    rows = read_lines(path)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not {"name", "value"} <= row.keys():
            raise RunError(f"'{path}' is damaged (line {number} is no metric); the run's other files may be whole")
    return rows


def read_run(folder: Path) -> StoredRun:
    """Return the run in a folder; raise RunError where there is none or its record is damaged."""
    path = folder / RUN_FILE
    try:
        data = path.read_bytes()
        msgspec.json.decode(data, type=_Record)
        record = msgspec.json.decode(data, type=dict[str, Any])
    except FileNotFoundError as fault:
        raise RunError(f"'{folder}' holds no {RUN_FILE}, so it is no run; see `glassbook runs list`") from fault
    except (msgspec.DecodeError, RecursionError) as fault:
        raise RunError(f"'{path}' is damaged ({fault}); restore it or remove the folder") from fault
    except OSError as fault:
        raise RunError(f"'{path}' cannot be read ({fault.strerror}); check its permissions") from fault
    return StoredRun(folder, record, _status(record))


def _status(record: Mapping[str, Any]) -> str:
    if record["status"] != "running":
        return str(record["status"])
    return "running" if _is_alive(record["process"]) else "killed"


def _is_alive(process: Mapping[str, Any]) -> bool:
    try:
        found = psutil.Process(int(process["pid"]))
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process number is used again; the time it began is not.
        return abs(found.create_time() - float(process["started"])) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
