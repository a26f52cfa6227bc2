"""`glassbook features import`: a dictionary in another package's files becomes one of ours, or is only looked at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, printable
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.features.dictionary import Dictionary

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder or file as another package wrote it.")]
FormatName = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="saelens, dictionary_learning, sparsify, gemma_scope, circuit_tracer; auto looks.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The folder to write; without it the source is only looked at."),
]
SiteName = Annotated[
    str | None,
    typer.Option("--site", metavar="SITE", help="Where it reads, such as L20.resid_post, where the files do not say."),
]


def import_(
    source: Source, format_name: FormatName = "auto", out: Out = None, site: SiteName = None, as_json: Json = False
) -> None:
    """Read a dictionary of SAELens, dictionary_learning, sparsify, Gemma Scope or circuit-tracer, and write it as one of ours.

    Nothing in the files is ever run. Outputs stay the same to 1e-6; what could not be carried is said, and all that the files
    say besides their numbers is kept in the facts. A set of transcoders becomes a folder for each layer.
    """
    from glassbook.features.formats import list_parts

    if not source.exists():
        raise InputError(f"'{source}' is not there; give a folder or file as another package wrote it")
    parts = list_parts(source, format_name)
    several = len(parts) > 1
    documents = [
        _imported(part, format_name, out / part.stem if several and out else out, site, several) for part in parts
    ]
    if as_json:
        print_json({"dictionaries": documents})
        return
    for number, document in enumerate(documents):
        if number:
            print()
        print_facts(_told(document))
        print_remarks("What was not carried, or taken to be so", document["remarks"])


def print_remarks(heading: str, remarks: list[str]) -> None:
    """Print sentences under a heading, where there are any."""
    if remarks:
        print_heading(heading)
        print("\n".join(f"- {printable(remark)}" for remark in remarks))


def dictionary_facts(dictionary: "Dictionary") -> dict[str, Any]:
    """Return what a dictionary is, as plain data."""
    weights = dictionary.facts.get("weights")
    return {
        "kind": dictionary.kind,
        "d_in": dictionary.d_in,
        "n_features": dictionary.n_features,
        "d_out": dictionary.d_out,
        "settings": dictionary.settings,
        "site": dictionary.facts.get("site"),
        "site_out": dictionary.facts.get("site_out"),
        "model": weights.get("name") if isinstance(weights, dict) else None,
    }


def _imported(part: Path, format_name: str, out: Path | None, site: str | None, several: bool) -> dict[str, Any]:
    """Import one dictionary and return what came of it."""
    from glassbook.core.sites import Site
    from glassbook.features.files import save_dictionary
    from glassbook.features.formats import import_dictionary
    from glassbook.features.formats.writing import check_new

    if site is not None and several:
        raise InputError(f"--site {site} cannot be that of every layer of a set; import one layer's file with it")
    found = import_dictionary(part, format_name)
    if site is not None:
        found.dictionary.facts["site"] = str(Site.parse(site))
    if out is not None:
        check_new(out)
        save_dictionary(out, found.dictionary)
    return {
        "source": str(part),
        "format": found.format,
        **dictionary_facts(found.dictionary),
        "remarks": list(found.remarks),
        "folder": None if out is None else str(out),
    }


def _told(document: dict[str, Any]) -> dict[str, str]:
    """Return what people read of an import."""
    width = (
        f"{document['d_in']} -> {document['d_out']}" if document["d_out"] != document["d_in"] else f"{document['d_in']}"
    )
    written = f", writes {document['site_out']}" if document["site_out"] else ""
    settings = ", ".join(f"{name} {value}" for name, value in document["settings"].items())
    return {
        "source": f"{document['source']} ({document['format']})",
        "kind": document["kind"] + (f" ({settings})" if settings else ""),
        "size": f"{document['n_features']:,} features of width {width}",
        "reads": f"{document['site'] or 'not said'}{written}",
        "model": document["model"] or "not said",
        "folder": document["folder"] or "only looked at; --out DIR writes it",
    }
