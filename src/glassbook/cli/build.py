"""`glassbook build`: a notebook becomes a folder of pages."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.door import tell
from glassbook.cli.notebook_options import NotebookFolder, open_it
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, print_table

if TYPE_CHECKING:
    from glassbook.notebook.site.building import BuildReport

Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the site goes; else the folder 'site' of the notebook.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 where a link or picture leads nowhere.")]
NoSearch = Annotated[
    bool, typer.Option("--no-search", help="Make no index of all words; names are found all the same.")
]

SITE = "site"


def build(
    notebook: NotebookFolder = None,
    out: Out = None,
    strict: Strict = False,
    no_search: NoSearch = False,
    as_json: Json = False,
) -> None:
    """Write the notebook as a site: a folder that works from any address, and from a disk.

    A broken link, an unknown name or a number that its run does not have is told with file and line, and the site that stands
    stays as it is. What an import could not find is shown as unresolved and listed; --strict fails on it.
    """
    report = built(notebook, out, not no_search)
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(report)
    if strict and report.unresolved:
        raise typer.Exit(1)


def built(notebook: Path | None, out: Path | None, search: bool) -> "BuildReport":
    """Return the report of a build of the notebook."""
    # One command makes much and lets go of nothing before it ends: looking for what could go is time lost.
    gc.disable()
    found = open_it(notebook)
    from glassbook.cli.stale_claims import known_of
    from glassbook.notebook.site.building import BuildOptions
    from glassbook.notebook.site.building import build as build_site
    from glassbook.notebook.site.full_text import is_installed

    if search and not is_installed():
        tell(
            "the package 'pagefind' is not installed, so names are searched and not the text; 'glassbook[site]' has it"
        )
    return build_site(found, out or found.root / SITE, BuildOptions(known_of(found.root), search))


def print_report(report: "BuildReport") -> None:
    """Print what was built and what leads nowhere."""
    print_facts(
        {
            "site": str(report.out / "index.html"),
            "pages": f"{report.pages}, {report.written} written anew",
            "texts": f"{report.rendered} rendered anew",
            "in all": f"{sum(report.seconds.values()):.1f} s",
        }
    )
    if report.unresolved:
        print_heading("\nWhat leads nowhere")
        rows = [[f"{one.path}:{one.line}", one.address, one.shown] for one in report.unresolved]
        print_table(["place", "address", "words"], rows)
