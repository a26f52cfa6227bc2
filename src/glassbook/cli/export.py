"""`glassbook export`: a model as files that run without us."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json, ModelName, Weights
from glassbook.cli.output import print_facts, print_json
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.models.two_files import TwoFiles

Form = Annotated[
    bool, typer.Option("--two-files", help="parameters.bin and model.c, which any C compiler takes: GPT-2 and Llama.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into; it is made where missing.")]


def export(model: ModelName, out: Out, two_files: Form = False, as_json: Json = False) -> None:
    """Write a model as files that run without us.

    With --two-files: every weight in parameters.bin, and one readable C file, which prints the same greedy tokens.
    """
    if not two_files:
        raise InputError("an export needs a form; say --two-files for parameters.bin and model.c")
    from glassbook.models.two_files import write_two_files

    opened = Weights(model).open()
    written = write_two_files(opened, out)
    document = _document(written) | {"model": opened.identity.to_dict()}
    if as_json:
        print_json(document)
    else:
        print_facts(_facts(document))


def _document(written: "TwoFiles") -> dict[str, Any]:
    folder = written.program.parent
    program = folder / "model"
    prompt = '--text "Once upon a time"' if written.reads_text else "1 2 3"
    return {
        "parameters": str(written.parameters),
        "parameters_bytes": written.n_bytes,
        "program": str(written.program),
        "reads_text": written.reads_text,
        "why_ids_only": written.why_ids_only,
        "compile": f"cc -O3 {shlex.quote(str(written.program))} -lm -o {shlex.quote(str(program))}",
        # A program in the folder at hand is found by its path only.
        "run": f"{shlex.quote(str(program.absolute()))} {shlex.quote(str(written.parameters))} 20 {prompt}",
    }


def _facts(document: dict[str, Any]) -> dict[str, str]:
    prompts = "text or token ids" if document["reads_text"] else f"token ids only, since {document['why_ids_only']}"
    return {
        "model": document["model"]["name"],
        "parameters": f"{document['parameters']}, {document['parameters_bytes'] / 1e6:,.1f} MB",
        "program": document["program"],
        "prompts": prompts,
        "compile it": document["compile"],
        "run it": document["run"],
    }
