"""`glassbook sweep`: which layer and strength a direction should act at, told on items that the choice never saw."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_json, print_table, progress
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.cli.sweep_options import (
    Direction,
    Grid,
    Measured,
    SweptModel,
    read_effect,
    read_layers,
    read_strengths,
    settings_of,
)
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.runs.reading import StoredRun
    from glassbook.runs.record import Run
    from glassbook.steering.sweeps.result import Sweep

Resume = Annotated[
    str | None, typer.Option(metavar="RUN", help="Go on with a sweep that was stopped, or latest; its options hold.")
]
Groups = tuple[SweptModel, Direction, Grid, Measured]


def sweep(
    weights: SweptModel,
    direction: Direction,
    grid: Grid,
    measured: Measured,
    resume: Resume = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Find the layer and strength for a direction, and say whether its effect may be believed.

    The whole grid is scored on one half of the items, the cell is chosen under a budget of fluency, and its effect is told
    on the other half. Random directions and the flipped sign go through the same choice; an instruction alone stands beside
    them. What is measured is on the disk at once: after Ctrl-C, --resume RUN goes on.
    """
    from glassbook.cli.sweep_run import MODULES, check_layers, check_settings, keep_sweep
    from glassbook.steering.sweep import sweep as sweep_over

    groups: Groups = (weights, direction, grid, measured)
    if resume is not None:
        resume = _stored(resume, root).id
        groups = _as_asked_then(resume, root, groups)
    weights, direction, grid, measured = groups
    direction.check()
    settings = settings_of(direction, grid, measured)
    layers, strengths, effect = read_layers(grid.layers), read_strengths(grid.strengths), read_effect(measured.effect)
    check_settings(settings, strengths, effect)
    pairs, model = direction.pairs(), weights.open()
    check_layers(model, pairs, layers)
    asked = Asked("sweep", _config(groups), grid.seed, MODULES)
    with recorded(asked, model, root, resume) as run, progress() as report:
        found = sweep_over(model, pairs, layers, strengths, effect, run=run, progress=report, **settings)
        page = keep_sweep(run, model, found, direction, measured)
    _print(found, run, page, as_json)


def _config(groups: Groups) -> dict[str, Any]:
    """Return every option that shapes the numbers; a function of the user's is known by its file's checksum."""
    from glassbook.files.hashes import sha256_file

    config = {name: value for group in groups for name, value in asdict(group).items()}
    path, _, _ = str(config["effect"]).rpartition(":")
    return config | {"effect_sha256": sha256_file(path) if path.endswith(".py") else None}


def _as_asked_then(resume: str, root: Path | None, groups: Groups) -> Groups:
    """Return the options of the run to be resumed; raise InputError where others were given beside it."""
    stored = _stored(resume, root)
    if stored.kind != "sweep":
        raise InputError(f"the run {stored.id} is no sweep but of kind '{stored.kind}'; resume a sweep")
    config = stored.record["asked"]["config"]
    then = tuple(_read(type(group), config) for group in groups)
    if any(now != type(now)() and now != was for now, was in zip(groups, then, strict=True)):
        raise InputError(f"the run {stored.id} was asked with other options; give --resume alone, or start another run")
    return then


def _stored(resume: str, root: Path | None) -> "StoredRun":
    """Return the run of this name; `latest` is the newest sweep."""
    from glassbook.runs.index import find_run, list_runs

    newest = list_runs(root, kind="sweep", limit=1) if resume == "latest" else []
    return find_run(newest[0].id if newest else resume, root)


def _read(group: type[Any], config: dict[str, Any]) -> Any:
    """Return a group of options as a Run recorded it, its paths paths again."""
    paths = ("positives", "negatives", "vector")
    given = {one.name: config[one.name] for one in fields(group) if one.name in config}
    return group(**{name: Path(value) if name in paths and value else value for name, value in given.items()})


def _print(found: "Sweep", run: "Run", page: Path, as_json: bool) -> None:
    from glassbook.cli.sweep_report import capitalized

    vectors = sorted(str(path) for path in (run.folder / "artifacts").glob("vector-*.safetensors"))
    if as_json:
        print_json(found.to_dict() | {"run": run.id, "report": str(page), "vectors": vectors})
        return
    print_grid(found)
    typer.echo(capitalized(found.sentence))
    typer.echo()
    print_facts({"run": run.id, "report": str(page), "vector": ", ".join(vectors)})


def print_grid(found: "Sweep") -> None:
    """Print effect and cost of every cell."""
    columns = ["layer", *(f"{strength:g}" for strength in found.strengths)]
    print_table(columns, [[str(layer), *_line(found, layer)] for layer in found.layers], right=columns)
    typer.echo(f"effect ({found.unit}) × perplexity ratio on the choosing half; * is the chosen cell\n")


def _line(found: "Sweep", layer: int) -> list[str]:
    chosen = found.chosen.vector.cell
    line = []
    for strength in found.strengths:
        cell = found.cell(layer, strength)
        effect = "failed" if cell.effect is None else f"{cell.effect:+.2f}"
        ratio = "" if cell.perplexity_ratio is None else f" × {cell.perplexity_ratio:.2f}"
        mark = "*" if (layer, strength) == (chosen.layer, chosen.strength) else " "
        line.append(f"{effect}{ratio}{mark}")
    return line
