"""`glassbook serve`: the notebook as a site, while it is written."""

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from glassbook.cli.door import tell
from glassbook.cli.notebook_options import NotebookFolder, need_site, open_it
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts
from glassbook.core.errors import GlassbookError

Port = Annotated[int, typer.Option(min=0, max=65535, help="The port on this machine; 0 takes a free one.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not show the first page in a browser.")]

_SITE = Path(".glassbook", "cache", "served")


def serve(notebook: NotebookFolder = None, port: Port = 8321, no_open: NoOpen = False, as_json: Json = False) -> None:
    """Show the notebook on this machine and load it again whenever a file changes; Ctrl-C ends it.

    What keeps it from being built is told here and on the open pages, and the last good site stays. Names are searched; the
    index of all words is made by `glassbook build`. Only this machine is answered.
    """
    need_site()
    from glassbook.notebook.notebook import find_root
    from glassbook.notebook.site.serving import Server, State, build_and_tell, watch
    from glassbook.views.page import has_display

    root, state = find_root(notebook), State()

    def rebuild() -> None:
        try:
            _build(root)
        except GlassbookError as fault:
            tell(str(fault))
            raise

    with Server(root / _SITE, state, port) as server:
        build_and_tell(rebuild, state)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if as_json:
            typer.echo(f'{{"url": "{server.url}", "token": null}}')
        else:
            print_facts({"notebook": str(root), "address": server.url, "to end": "Ctrl-C"})
        if not no_open and has_display():
            webbrowser.open(server.url)
        watch(root, rebuild, state)


def _build(root: Path) -> None:
    from glassbook.cli.stale_claims import known_of
    from glassbook.notebook.site.building import BuildOptions, build

    build(open_it(root), root / _SITE, BuildOptions(known_of(root), search=False))
