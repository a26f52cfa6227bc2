"""What verbs share that touch a notebook: which one, and what to say where the packages of its site are missing."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.notebook.notebook import Notebook

NotebookFolder = Annotated[
    Path | None,
    typer.Option("--notebook", metavar="DIR", help="The notebook; else the nearest folder above with glassbook.toml."),
]
_PACKAGES = {"yaml", "markdown_it", "mdit_py_plugins", "pygments", "nh3", "quickjs", "_quickjs"}


def open_it(folder: Path | None) -> "Notebook":
    """Return the notebook; raise NotebookFaults with all that is wrong in it."""
    need_site()
    from glassbook.notebook.notebook import open_notebook

    return open_notebook(folder)


def need_site() -> None:
    """Raise InputError with what to install where a package that writes sites is missing."""
    try:
        importlib.import_module("glassbook.notebook.markdown")
        importlib.import_module("glassbook.notebook.notebook")
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise InputError(
            f"a notebook needs the package '{fault.name}', which is not installed; run `pip install 'glassbook[site]'`"
        ) from fault
