"""The options that verbs about a dictionary in its model share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from glassbook.cli.options import Device, Dtype

DictionaryName = Annotated[
    str, typer.Argument(metavar="DICTIONARY", help="A known name, or a folder with a dictionary.")
]
OfModel = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="The model that it is of; else the known one that it was trained on."),
]


@dataclass(frozen=True, slots=True)
class Pair:
    """Which dictionary, in which model, at which Sites."""

    dictionary: DictionaryName
    site: Annotated[
        list[str] | None,
        typer.Option(metavar="SITE", help="Where it reads, else where it was trained; twice for a transcoder."),
    ] = None
    model: OfModel = None
    dtype: Dtype = "float32"
    device: Device = "cpu"
    force: Annotated[bool, typer.Option("--force", help="Use a dictionary of another model; the run says so.")] = False
