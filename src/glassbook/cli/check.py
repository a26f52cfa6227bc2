"""`glassbook check`: any control vector or vector of ours, held against its controls, on one page."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json, Weights
from glassbook.cli.output import print_facts, print_heading, print_json, print_table, printable, progress
from glassbook.cli.recording import Asked, Root, recorded

if TYPE_CHECKING:
    from glassbook.steering.check import CheckReport

VectorFile = Annotated[
    Path, typer.Argument(metavar="VECTOR", help="A control vector (.gguf), or a vector or set of ours (.safetensors).")
]


@dataclass(frozen=True, slots=True)
class Against(Weights):
    """Which model the vector is checked on."""

    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A known name, a folder, a .gguf file, or a hub id owner/name.")
    ] = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Acting:
    """How the vector acts."""

    strength: Annotated[float, typer.Option(help="How many times the vector is added; a negative one flips it.")] = 1.0
    layers: Annotated[
        str | None, typer.Option(metavar="LAYERS", help="Its layers to use, such as 8-16 or 4,8,12; else all it has.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Use a vector of another model; the run says so.")] = False


@dataclass(frozen=True, slots=True)
class Measuring:
    """What the vector is measured on and held against."""

    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Choices that measure the effect: sentiment, persona/<name>, or a file."
        ),
    ] = None
    n_items: Annotated[int, typer.Option(min=1, help="How many of them at most, drawn by the seed.")] = 48
    instruction: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to write before the prompt instead; else the choices' own.")
    ] = None
    prompt: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A prompt to complete; repeatable, else two plain ones.")
    ] = None
    max_new_tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write at most.")] = 32
    n_random: Annotated[int, typer.Option(min=1, help="How many random directions of the same norms.")] = 20
    n_tokens: Annotated[int, typer.Option(min=16, help="How many tokens of unrelated text to measure the cost on.")] = (
        512
    )
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0


def check(
    vector: VectorFile,
    against: Against,
    acting: Acting,
    measuring: Measuring,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Say of any vector whether it works, and what it costs.

    Its effect on the pairs stands beside random directions of the same norms, the flipped sign and an instruction; its cost is
    measured on unrelated text, over a ladder of strengths up to where coherence breaks. Without --pairs the cost alone is
    told. Exit status: 0 it works, 1 it does not or nothing can be told, 2 the check cannot be made.
    """
    from glassbook.cli.check_run import MODULES, Check, keep_check

    asked = Check.of(vector, acting, measuring)
    model = against.open()
    asked.check(model)
    config: dict[str, Any] = {"vector": str(vector)} | asdict(against) | asdict(acting) | asdict(measuring)
    with recorded(Asked("check", config, measuring.seed, MODULES), model, root) as run, progress() as report:
        checked = asked.carry_out(model, run, report)
        page = keep_check(run, model, checked)
    if as_json:
        print_json(checked.to_dict() | {"run": run.id, "report": str(page)})
    else:
        _print(checked)
        print_facts({"run": run.id, "report": str(page)})
    if checked.verdict != "works":
        raise typer.Exit(1)


def _print(checked: "CheckReport") -> None:
    for written in checked.written:
        print_heading(printable(written.prompt))
        for trial in (written.plain, written.steered):
            typer.echo(f"  {trial.label:10} {printable(trial.completion.text.strip())!r}")
    typer.echo()
    rows = []
    for dose in checked.doses:
        effect = checked.dose_effects.get(dose.multiple)
        told = "" if effect is None else f"{effect.estimate:+.2f}"
        rows.append([f"{dose.multiple:.3g}", f"{dose.cost.perplexity_ratio:.3f}", f"{dose.cost.kl:.3g}", told])
    columns = ["times the strength", "perplexity ratio", "KL", "effect"]
    print_table(columns, rows, right=columns)
    typer.echo()
    typer.echo(checked.sentence)
    typer.echo()
