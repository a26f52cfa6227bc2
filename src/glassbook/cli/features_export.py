"""`glassbook features export`: a dictionary in the files of another package, for its own loader to open."""

from pathlib import Path
from typing import Annotated, Any

import typer

from glassbook.cli.features_import import dictionary_facts, print_remarks
from glassbook.cli.features_options import DictionaryName
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_json

FormatName = Annotated[
    str,
    typer.Option(
        "--format", metavar="NAME", help="saelens, dictionary_learning or sparsify; neuronpedia for its cards."
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write; nothing may be in it.")]


def export(dictionary: DictionaryName, format_name: FormatName, out: Out, as_json: Json = False) -> None:
    """Write a dictionary so that SAELens, dictionary_learning or sparsify opens it, with the same outputs.

    What a format has no word for is refused or said. With --format neuronpedia its cards become feature files, and its
    labels explanations.
    """
    from glassbook.features.formats import NEURONPEDIA, export_cards, export_dictionary
    from glassbook.features.opening import dictionary_folder, open_dictionary

    opened = open_dictionary(dictionary)
    written = (
        export_cards(opened, dictionary_folder(dictionary), out)
        if format_name == NEURONPEDIA
        else export_dictionary(opened, out, format_name)
    )
    document: dict[str, Any] = {
        "folder": str(written.folder),
        "format": written.format,
        "files": list(written.files),
        **dictionary_facts(opened),
        "remarks": list(written.remarks),
    }
    if as_json:
        print_json(document)
        return
    print_facts(
        {
            "folder": f"{document['folder']} ({written.format})",
            "files": ", ".join(written.files),
            "kind": document["kind"],
            "size": f"{document['n_features']:,} features of width {document['d_in']}",
            "carried": "encoder, decoder, biases and thresholds in float32; kind, settings and facts under a key of our own",
        }
    )
    print_remarks("What was not carried, or is read otherwise there", document["remarks"])
