"""What the demo ends with: a notebook whose entry shows the run, built as a site."""

from datetime import date
from pathlib import Path

from glassbook.cli.build import SITE
from glassbook.cli.door import tell
from glassbook.cli.notebook_options import need_site
from glassbook.core.errors import GlassbookError, InputError

FOLDER = "demo-notebook"
"""Where the notebook lies, beside the runs."""

_TITLE = "Where a direction works in a small model"


def show_in_notebook(run: Path) -> Path | None:
    """Pin a finished run into a fresh notebook beside it and build its site; return the first page.

    The notebook of an earlier demo stays and gets one entry more. Without the packages of the site, or where a person left
    something in that notebook that cannot be built, nothing is built and a sentence says why.
    """
    try:
        need_site()
    except InputError as fault:
        tell(str(fault))
        return None
    from glassbook.cli.stale_claims import known_of
    from glassbook.notebook.notebook import open_notebook
    from glassbook.notebook.pinning import pin
    from glassbook.notebook.scaffold import new_notebook
    from glassbook.notebook.site.building import BuildOptions, build
    from glassbook.runs.reading import read_run

    stored = read_run(run)
    folder = run.parent / FOLDER
    try:
        if not folder.exists():
            new_notebook(folder, date.fromisoformat(str(stored.record["started"])[:10]))
        pin(stored, folder, _TITLE)
        report = build(open_notebook(folder), folder / SITE, BuildOptions(known_of(folder)))
    except GlassbookError as fault:
        tell(f"the demo's notebook in '{folder}' could not be built: {fault}")
        return None
    return report.out / "index.html"
