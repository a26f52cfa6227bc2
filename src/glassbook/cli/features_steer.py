"""`glassbook features steer`: a prompt continued with some features changed and without, and the effect beside its controls."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.features_options import Pair
from glassbook.cli.options import Bos, Json, Writing
from glassbook.cli.output import print_facts, print_heading, print_json, printable, progress
from glassbook.cli.reading import read_prompt
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.cli.features_steering import SteeredFeatures
    from glassbook.steering.features import FeatureEdit

OPERATORS = ("add", "clamp", "scale")
"""The options that carry a number; --ablate carries none."""


@dataclass(frozen=True, slots=True)
class Changing:
    """Which features are changed, and how."""

    feature: Annotated[
        list[int], typer.Option(metavar="N", help="The number of a feature; repeatable, they act as one.")
    ]
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="The text to continue; - reads it from standard input.")]
    add: Annotated[float | None, typer.Option(metavar="X", help="Add X to the value that the feature has.")] = None
    clamp: Annotated[float | None, typer.Option(metavar="X", help="Give the feature the value X, whatever it has.")] = (
        None
    )
    scale: Annotated[
        float | None, typer.Option(metavar="X", help="Add X times its value; what is inactive stays so.")
    ] = None
    ablate: Annotated[bool, typer.Option("--ablate", help="Take the feature away wherever it is active.")] = False
    positions: Annotated[str, typer.Option(help="all, prompt, generated, or indices 0,1,2.")] = "all"
    bos: Bos = None

    def edits(self) -> "list[FeatureEdit]":
        """Return what is done to each feature; raise InputError unless one thing is asked for."""
        from glassbook.steering.features import FeatureEdit

        asked = [(name, value) for name in OPERATORS if (value := getattr(self, name)) is not None]
        asked += [("ablate", 1.0)] if self.ablate else []
        if len(asked) != 1:
            raise InputError("a feature is changed in one way; give one of --add X, --clamp X, --scale X and --ablate")
        ((operator, amount),) = asked
        return [FeatureEdit(feature, operator, amount) for feature in self.feature]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Measuring:
    """What the effect is measured on and held against."""

    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Measure the probability of this token; repeatable, else the feature's own ten."
        ),
    ] = None
    n_controls: Annotated[
        int, typer.Option(min=1, help="Features of like density, and random directions, that it is held against.")
    ] = 20
    instruction: Annotated[
        str, typer.Option(metavar="TEXT", help="What to write before the prompt instead of steering.")
    ] = ""


def steer(
    pair: Pair, changing: Changing, measuring: Measuring, how: Writing, root: Root = None, as_json: Json = False
) -> None:
    """Continue a prompt with features changed beside the same without, and measure what that does.

    Measured is how far the probability of some tokens moves in what the unsteered model writes, beside as many other features
    of like density, random directions that take the same changes at the same norm, the flipped sign, an instruction where one
    is given, and the cost in perplexity on unrelated text. The vector of one feature is kept for glassbook check.
    """
    from glassbook.cli.features_opening import open_pair, say_loss
    from glassbook.cli.features_steering import MODULES, carry_out, keep, prepare

    edits, prompt, writing = changing.edits(), read_prompt(changing.prompt), how.checked()
    experiment = prepare(open_pair(pair), edits, prompt, changing, measuring, writing)
    config = asdict(pair) | asdict(changing) | asdict(measuring) | writing | {"prompt": prompt}
    with (
        recorded(Asked("features-steer", config, how.seed, MODULES), experiment.model, root) as run,
        progress() as report,
    ):
        loss = experiment.opened.measured_loss(run)
        result = carry_out(experiment, run, report)
        page = keep(run, experiment, result)
    document: dict[str, Any] = result.to_dict() | {"prompt": prompt, "weights": loss}
    if as_json:
        print_json(document | {"run": run.id, "report": str(page)})
        return
    _print(prompt, result)
    if loss is not None:
        typer.echo(f"The dictionary {say_loss(loss)}.")
    print_facts({"run": run.id, "report": str(page)})


def _print(prompt: str, result: "SteeredFeatures") -> None:
    for feature in result.features:
        seen = f", {feature['about']}" if feature["about"] else ""
        typer.echo(
            printable(
                f"feature {feature['feature']}{seen}: active at {feature['density']:.2%} of tokens, "
                f"at most {feature['largest']:.4g}"
            )
        )
    for trial in result.trials:
        print_heading(f"{trial.label}, perplexity {trial.perplexity:.1f}")
        typer.echo(printable(prompt + trial.completion.text))
    typer.echo()
    typer.echo(printable(result.sentence))
