"""`glassbook verify`: what a notebook says of its studies still holds, or is measured again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.door import tell
from glassbook.cli.options import Json
from glassbook.cli.output import print_json
from glassbook.cli.recording import COMMAND, Root

if TYPE_CHECKING:
    from glassbook.studies.verifying import Finding

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Studies; else all that the notebook keeps.")
]
All = Annotated[bool, typer.Option("--all", help="Measure again what is not stale too.")]
Check = Annotated[bool, typer.Option("--check", help="Measure nothing; say what is stale and what does not hold.")]
Notebook = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The notebook; else the nearest folder above with glassbook.toml.")
]


def verify(
    names: Names = None,
    all_: All = False,
    check: Check = False,
    notebook: Notebook = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Measure stale studies again, say what moved beyond its interval, and hold every page to its runs.

    A claim is stale where the code behind it, its settings, data, weights or bar changed; a comment changes nothing. Exit
    status 1: something is stale (with --check), an entry states a number that its run does not have, or a pinned run was
    altered.
    """
    from glassbook.studies.keeping import notebook_folder
    from glassbook.studies.running import Asker
    from glassbook.studies.verifying import inspect, kept_studies, measure_again, page_findings, run_findings

    place, found = notebook_folder(notebook), []
    for kept in kept_studies(place, names or ()):
        finding = inspect(kept, place)
        if not check and (finding.can_be_measured or (all_ and not finding.forbidden)):
            tell(f"{kept.place}: measuring again, {_why(finding)}")
            finding.moves = measure_again(kept, place, Asker(COMMAND.get(), root, again=all_))
            finding.measured_again, finding.faults = True, []
        found.append(finding)
    found += [*run_findings(place), *page_findings(place)]
    if as_json:
        print_json({"findings": [one.to_dict() for one in found]})
    else:
        _print(found)
    if not all(one.holds for one in found):
        raise typer.Exit(1)


def _why(finding: "Finding") -> str:
    causes = sorted({cause for one in finding.stale for cause in one.causes})
    return f"since this changed: {', '.join(causes)}" if causes else "as asked"


def _print(found: Sequence["Finding"]) -> None:
    if not found:
        typer.echo("The notebook keeps no results of studies; 'glassbook study report NAME' writes them.")
    for one in found:
        typer.echo(f"{'✓' if one.holds else '✗'} {one.place}: {_said(one)}")
        for stale in one.stale:
            typer.echo(f"    {stale.claim} {'was' if one.measured_again else 'is'} stale: {', '.join(stale.causes)}")
        for fault in one.faults:
            typer.echo(f"    {fault}")
        for move in one.moves:
            if move.moved:
                before, after = move.before, move.after
                typer.echo(
                    f"    {move.claim} moved: {before.interval} {before.verdict} -> {after.interval} {after.verdict}"
                )


def _said(one: "Finding") -> str:
    if one.measured_again:
        moved = sum(move.moved for move in one.moves)
        return f"measured again, {moved} of {len(one.moves)} claims moved beyond an interval"
    if one.stale:
        again = "" if one.forbidden else "; 'glassbook verify' measures them again"
        return f"{len(one.stale)} of the claims are stale{again}"
    return f"{len(one.faults)} faults" if one.faults else "nothing is stale, every verdict follows from its items"
