"""The list of studies: what each claims and which of its results are there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from glassbook.cli.output import print_table
from glassbook.core.errors import InputError
from glassbook.evidence import read_claims
from glassbook.runs.reading import RUN_FILE, StoredRun
from glassbook.studies.contract import SIZES
from glassbook.studies.finding import CLAIMS_FILE, folder_named, names
from glassbook.studies.keeping import kept_folder, notebook_folder
from glassbook.studies.records import stored_runs


def listed(notebook: Path | None, root: Path | None) -> list[dict[str, Any]]:
    """Return each study's name, paper, number of claims, and the seeds run and kept at each size."""
    runs = [run for run in stored_runs(root) if run.status == "done"]
    return [_row(name, runs, notebook) for name in names()]


def print_list(rows: Sequence[dict[str, Any]]) -> None:
    """Print the studies and what there is of each."""
    if not rows:
        typer.echo("There are no studies.")
        return
    columns = ["study", "paper", "claims", *(f"{size} runs" for size in SIZES), "kept"]
    lines = [
        [
            row["name"],
            row["paper"],
            str(row["claims"]),
            *(", ".join(map(str, row["runs"][size])) for size in SIZES),
            ", ".join(f"{size} ({len(seeds)} seeds)" for size, seeds in row["kept"].items() if seeds),
        ]
        for row in rows
    ]
    print_table(columns, lines, right=["claims"])


def _row(name: str, runs: Sequence[StoredRun], notebook: Path | None) -> dict[str, Any]:
    claims = read_claims(folder_named(name) / CLAIMS_FILE)
    asked = [run.record["asked"] for run in runs]
    mine = [one for one in asked if one["config"].get("study") == name]
    done = {size: sorted({one["seed"] for one in mine if one["config"]["size"] == size}) for size in SIZES}
    return {
        "name": name,
        "paper": claims.paper,
        "claims": len(claims.claims),
        "runs": done,
        "kept": {size: _kept_seeds(name, size, notebook) for size in SIZES},
    }


def _kept_seeds(name: str, size: str, notebook: Path | None) -> list[int]:
    try:
        folder = kept_folder(notebook_folder(notebook), name, size)
    except InputError:
        if notebook is not None:
            raise
        # Away from any notebook there is nothing kept, and the list is still of use.
        return []
    return sorted(int(path.parent.name.removeprefix("seed-")) for path in folder.glob(f"seed-*/{RUN_FILE}"))
