"""Runs: every execution keeps what was asked, on what, what it cost and what came out, in a folder of its own."""

from glassbook.runs.code_hash import code_hash
from glassbook.runs.index import Row, find_run, list_runs, reindex
from glassbook.runs.machine import Cost
from glassbook.runs.places import runs_root
from glassbook.runs.reading import StoredRun, read_run
from glassbook.runs.record import Run, start_run
from glassbook.runs.resuming import resume_run

__all__ = [
    "Cost",
    "Row",
    "Run",
    "StoredRun",
    "code_hash",
    "find_run",
    "list_runs",
    "read_run",
    "reindex",
    "resume_run",
    "runs_root",
    "start_run",
]
