"""The entry of the command line: which verbs there are, and the one way in.

Verbs load by name and what they need loads when they are called, so that help never waits for torch.
"""

import importlib
import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from keyword import iskeyword
from typing import Annotated, Literal, NoReturn

import typer

from glassbook.cli.door import guarded
from glassbook.cli.options import opened_up
from glassbook.cli.recording import COMMAND

VERBS = {
    "doctor": "doctor",
    "demo": "demo",
    "open": "open_verb",
    "generate": "generate",
    "capture": "capture",
    "steer": "steer",
    "sweep": "sweep",
    "check": "check",
    "train": "train",
    "features": "features",
    "export": "export",
    "study": "study",
    "verify": "verify",
    "runs": "runs",
    "new": "new",
    "pin": "pin",
    "import": "import_",
    "build": "build",
    "serve": "serve",
}
"""The verbs in the order of the help, each with the name of its function, or group of functions, in its module."""


def main() -> NoReturn:
    """Run the command line of this process and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A model may write any character, and a terminal of another encoding must not end the work.
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Return the exit status of one command.

    0 done, 1 a check did not hold, 2 what was asked cannot be done, 130 stopped by Ctrl-C.
    """

    def work() -> int:
        verb = arguments[0] if arguments and arguments[0] in VERBS else ""
        command = typer.main.get_command(build(verb))
        with command.make_context("glassbook", list(arguments) or ["--help"]) as context:
            status: int | None = command.invoke(context)
            return status or 0

    COMMAND.set(("glassbook", *arguments))
    return guarded(work)


def build(only: str = "") -> typer.Typer:
    """Return the application with every verb in it, or with one, which loads sooner."""
    # Boxes and colors are for eyes; a pipe gets help that is the same everywhere.
    style: Literal["rich"] | None = "rich" if sys.stdout.isatty() else None
    app = typer.Typer(add_completion=False, rich_markup_mode=style, pretty_exceptions_enable=False)
    app.callback()(about)
    for verb, name in VERBS.items() if not only else ((only, VERBS[only]),):
        module = f"{verb}_" if iskeyword(verb) else verb
        found = getattr(importlib.import_module(f"glassbook.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command(verb)(opened_up(found))
    return app


def _print_version(asked: bool) -> bool:
    if asked:
        typer.echo(version("glassbook"))
        raise typer.Exit
    return asked


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")
]


def about(show_version: Version = False) -> None:
    """Open real transformers, read and steer their insides, and keep every number with the run that measured it."""


if __name__ == "__main__":
    main()
