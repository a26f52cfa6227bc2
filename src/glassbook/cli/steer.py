"""`glassbook steer`: a prompt continued with a vector and without, and the effect beside its controls."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from glassbook.cli.options import Json, PromptText, Weights, Writing
from glassbook.cli.output import print_facts, print_heading, print_json, printable, progress
from glassbook.cli.reading import read_prompt
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.cli.steering_options import Acting, Measuring, Recipe

if TYPE_CHECKING:
    from glassbook.cli.steering_report import Steered


def steer(
    weights: Weights,
    prompt: PromptText,
    recipe: Recipe,
    acting: Acting,
    measuring: Measuring,
    how: Writing,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Steer a continuation, and measure the effect.

    The vector comes from a pair of prompts (--plus, --minus), from two sets of texts (--contrast, or --positives and
    --negatives) and a --direction between them, or from a file (--vector). At several Sites it is a set that steers as one;
    a vector from a file stands at every --site that is given. The steered text stands beside the unsteered one, and the
    effect beside random directions of the same norm, the flipped sign, an instruction where one is given, and the cost in
    perplexity.
    """
    from glassbook.cli.steering_experiment import Experiment
    from glassbook.cli.steering_run import MODULES, keep_results, write_page

    experiment = Experiment(read_prompt(prompt), recipe, acting, measuring, how.checked())
    recipe.check()
    model = weights.open()
    experiment.check(model)
    asked = Asked("steer", asdict(weights) | experiment.to_dict(), how.seed, (*MODULES, Experiment.__module__))
    with recorded(asked, model, root) as run, progress() as report:
        result = experiment.carry_out(model, run, report)
        keep_results(run, model, [result])
        lead = f"What {model.identity.label} writes after “{experiment.prompt}”, steered and unsteered."
        page = write_page(run, model, [result], result.label, lead)
    if as_json:
        print_json(result.to_dict() | {"prompt": experiment.prompt, "run": run.id, "report": str(page)})
    else:
        _print(experiment.prompt, result)
        print_facts({"run": run.id, "report": str(page)})


def _print(prompt: str, result: "Steered") -> None:
    for trial in (trial for pair in result.trials for trial in pair):
        print_heading(f"{trial.label}, perplexity {trial.perplexity:.1f}")
        typer.echo(printable(prompt + trial.completion.text))
    typer.echo()
    typer.echo(result.sentence)
