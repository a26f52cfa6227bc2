"""`glassbook import`: one long page, or the pages of a whole site, become entries of the right kinds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.notebook_options import NotebookFolder, need_site
from glassbook.cli.options import Json
from glassbook.cli.output import print_heading, print_json, print_table

if TYPE_CHECKING:
    from glassbook.notebook.importing import ImportReport

Sources = Annotated[list[Path], typer.Argument(metavar="PAGE...", help="Pages in Markdown, or folders of them.")]
AssetsFolder = Annotated[
    Path | None,
    typer.Option("--assets", metavar="DIR", help="Where the pages' pictures lie, besides their own folder."),
]
History = Annotated[
    bool,
    typer.Option(
        "--history", help="Date every entry from the git revisions of its page: when it came, when it changed."
    ),
]
FetchImages = Annotated[
    bool, typer.Option("--fetch-images", help="Fetch pictures that lie elsewhere, once; else they stay links.")
]
_SHOWN = 12


def import_(
    sources: Sources,
    notebook: NotebookFolder = None,
    assets: AssetsFolder = None,
    history: History = False,
    fetch_images: FetchImages = False,
    as_json: Json = False,
) -> None:
    """Take pages apart into entries: log, papers, terms, meetings, projects, posts; nothing is lost, and old links lead on.

    The pages themselves are only read. What was imported before and has not been edited is brought up to date.
    """
    need_site()
    from glassbook.notebook.importing import ImportOptions, import_pages
    from glassbook.notebook.notebook import find_root

    root = find_root(notebook)
    report = import_pages(sources, root, ImportOptions(assets, history, fetch_images))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: "ImportReport") -> None:
    from glassbook.notebook.importing.report import told

    print_table(["entry", "kind", "file"], [[went.title, went.kind, went.path] for went in report.went])
    for heading, rows in (
        ("What looked doubtful", [str(doubt) for doubt in report.doubts]),
        ("What leads nowhere", [f"{gap.page}:{gap.line}: {gap.address} ({gap.kind})" for gap in report.unresolved]),
        ("Edited since, and left alone", list(report.edited())),
        ("Remarks", list(report.remarks)),
    ):
        if rows:
            print()
            print_heading(heading)
            print("\n".join(rows[:_SHOWN]) + (f"\n… and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""))
    print()
    print(f"{len(report.went)} entries ({told(report.counts)}); files: {told(report.states)}")
    print(f"old ids that lead on: {told(report.anchors)}")
    print(f"all of this stays in .glassbook/imports/{report.name}.md")
