"""`glassbook pin`: a run becomes a draft entry of the notebook."""

from typing import Annotated

import typer

from glassbook.cli.notebook_options import NotebookFolder, need_site
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_json
from glassbook.cli.recording import Root

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, or what begins or ends it; latest is the newest.")
]
Title = Annotated[str, typer.Option(help="What the entry is called; else after the run's kind and day.")]


def pin(
    run: RunName, notebook: NotebookFolder = None, title: Title = "", root: Root = None, as_json: Json = False
) -> None:
    """Turn a finished run into a draft entry: its pictures, its numbers, and the command that makes it again.

    What the page needs is copied into the notebook. Pinning again changes nothing, and what you wrote is never written over.
    """
    need_site()
    from glassbook.cli.runs import find
    from glassbook.notebook.notebook import find_root
    from glassbook.notebook.pinning import pin as pin_into

    stored = find(run, root)
    path = pin_into(stored, find_root(notebook), title)
    if as_json:
        print_json({"run": stored.id, "entry": str(path)})
    else:
        print_facts({"run": stored.id, "entry": str(path)})
