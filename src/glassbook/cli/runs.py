"""`glassbook runs`: what was done before, and what came out of it."""

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, print_table
from glassbook.cli.recording import Root
from glassbook.core.errors import RunError

if TYPE_CHECKING:
    from glassbook.runs.reading import StoredRun

runs = typer.Typer(help="List, show and open runs.")

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's name, or what begins or ends it and no other; latest is the newest."),
]
Kind = Annotated[str | None, typer.Option(help="Only runs of this kind: demo, steer, capture.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most, newest first.")]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only print the path.")]


@runs.command("list")
def list_verb(root: Root = None, kind: Kind = None, limit: Limit = 50, as_json: Json = False) -> None:
    """List runs, newest first."""
    from glassbook.runs.index import list_runs
    from glassbook.runs.places import runs_root

    found = list_runs(root, kind=kind, limit=limit)
    if as_json:
        print_json({"root": str(runs_root(root)), "runs": [asdict(row) for row in found]})
    elif not found:
        typer.echo(f"There are no runs in {runs_root(root)}; 'glassbook demo' makes one.")
    else:
        rows = [
            [row.id, row.status, row.weights, _seconds(row.wall_s), "yes" if row.has_report else ""] for row in found
        ]
        print_table(["run", "status", "weights", "s", "report"], rows, right=["s"])


@runs.command()
def show(run: RunName, root: Root = None, as_json: Json = False) -> None:
    """Show what a run was asked, what it cost and what came out."""
    stored = find(run, root)
    faults = stored.faults()
    if as_json:
        print_json(_document(stored, faults))
    else:
        print_facts(_facts(stored))
        _print_parts(stored)
        _print_metrics(stored)
        for fault in faults:
            print_facts({"fault": fault})
    if faults and stored.status == "done":
        raise typer.Exit(1)


@runs.command()
def reindex(root: Root = None, as_json: Json = False) -> None:
    """Rebuild the index from the run folders."""
    from glassbook.runs.index import reindex as rebuild

    count, faults = rebuild(root)
    if as_json:
        print_json({"runs": count, "faults": faults})
    else:
        typer.echo(f"{count} runs are in the index.")
        for fault in faults:
            print_facts({"left out": fault})
    if faults:
        raise typer.Exit(1)


@runs.command("open")
def open_verb(run: RunName, root: Root = None, no_browser: NoBrowser = False, as_json: Json = False) -> None:
    """Print the path of a run's report, and show it where there is a display."""
    from glassbook.views.page import open_in_browser

    stored = find(run, root)
    if stored.report is None:
        raise RunError(f"the run {stored.id} made no report; 'glassbook runs show {stored.id}' tells what it holds")
    opened = not no_browser and open_in_browser(stored.report)
    if as_json:
        print_json({"run": stored.id, "report": str(stored.report), "opened": opened})
    else:
        typer.echo(str(stored.report))


def find(name: str, root: Any) -> "StoredRun":
    """Return the run of this name, or the newest for `latest`."""
    from glassbook.runs.index import find_run, list_runs

    if name == "latest" and (newest := list_runs(root, limit=1)):
        name = newest[0].id
    return find_run(name, root)


def _document(stored: "StoredRun", faults: list[str]) -> dict[str, Any]:
    files = sorted(str(path.relative_to(stored.folder)) for path in stored.folder.rglob("*") if path.is_file())
    return {
        "id": stored.id,
        "folder": str(stored.folder),
        "status": stored.status,
        "record": dict(stored.record),
        "metrics": stored.metrics(),
        "files": files,
        "faults": faults,
    }


def _facts(stored: "StoredRun") -> dict[str, str]:
    record, asked = stored.record, stored.record["asked"]
    weights = record.get("weights") or {}
    facts = {
        "run": stored.id,
        "status": stored.status if not record.get("error") else f"{stored.status}: {record['error']}",
        "command": shlex.join(asked.get("command", [])),
        "seed": str(asked.get("seed")),
        "weights": f"{weights['name']}, {weights['dtype']}, fingerprint {weights['fingerprint'][:16]}"
        if weights
        else "none",
        "data": "; ".join(f"{one['name']} ({one['rows']} rows)" for one in record.get("data", [])) or "none",
        "began": str(record["started"]),
        "folder": str(stored.folder),
    }
    return facts | ({"report": str(stored.report)} if stored.report else {})


def _print_parts(stored: "StoredRun") -> None:
    cost = stored.record.get("cost")
    if not cost:
        return
    rows = [
        [one["part"], f"{one['wall_s']:.2f}", f"{one['cpu_s']:.2f}", f"{one['peak_bytes'] / 1e6:,.0f}"]
        for one in [*cost["parts"], cost["total"]]
    ]
    typer.echo()
    print_heading("What each part cost")
    print_table(["part", "wall s", "cpu s", "peak MB"], rows, right=["wall s", "cpu s", "peak MB"])


def _print_metrics(stored: "StoredRun") -> None:
    rows = [
        [one["name"], f"{one['value']:.4g}" if isinstance(one["value"], float) else str(one["value"]), one["unit"]]
        for one in stored.metrics()
    ]
    if rows:
        typer.echo()
        print_heading("Metrics")
        print_table(["name", "value", "unit"], rows, right=["value"])


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
