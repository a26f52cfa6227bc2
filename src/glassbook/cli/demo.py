"""`glassbook demo`: the main job on real text, from opening the model to a report with controls, in one command."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, print_table, printable, progress
from glassbook.cli.recording import COMMAND, Root

if TYPE_CHECKING:
    from glassbook.cli.steering_report import Steered
    from glassbook.files.hashes import Progress
    from glassbook.models.model import Model
    from glassbook.runs.record import Run
    from glassbook.steering.vectors import SteeringVector
    from glassbook.views.page import Section

# Chosen before anything was measured. The layers are fractions of the depth: ActAdd's published pair sits at 6 of 48 blocks
# with c = 5 (2308.10248), contrastive vectors work best near the middle (2312.06681).
PAIR, ACTADD_SITE, ACTADD_STRENGTH = ("I love this", "I hate this"), "L4.resid_pre", 5.0
MEAN_SITE, MEAN_STRENGTH = "L15.resid_pre", 1.0
PROMPTS = ("I think the people next door are", "When we got to the hotel, the room was")
TEXT = "alice"
WRITING = {"max_new_tokens": 32, "temperature": 0.7, "top_p": 0.9, "frequency_penalty": 0.5, "seed": 0}
N_RANDOM = 20

NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not show the report in a browser.")]


def demo(root: Root = None, no_open: NoOpen = False, as_json: Json = False) -> None:
    """Open the default model, read it, steer it two ways, and measure both beside their controls."""
    from glassbook.runs.record import start_run
    from glassbook.steering.comparison import conclude, mean_perplexity
    from glassbook.views.page import open_in_browser

    started = time.perf_counter()
    config: dict[str, object] = {
        "pair": PAIR,
        "actadd": [ACTADD_SITE, ACTADD_STRENGTH],
        "mean_difference": [MEAN_SITE, MEAN_STRENGTH],
    }
    config |= {"prompts": PROMPTS, "n_random": N_RANDOM, "text": TEXT, "writing": WRITING}
    with start_run("demo", COMMAND.get(), config, seed=0, root=root, modules=_modules()) as run, progress() as report:
        model, results, path = _work(run, report)
    if as_json:
        print_json({"run": run.id, "report": str(path), "results": [result.to_dict() for result in results]})
        return
    for result in results:
        _print_trials(result)
        fluency = [mean_perplexity([pair[side] for pair in result.trials]) for side in (0, 1)]
        typer.echo(
            f"\nPerplexity of what was written, under the unsteered model: {fluency[0]:.1f} plain, {fluency[1]:.1f} steered.\n"
        )
    print_heading("What each part cost")
    rows = [[one.part, f"{one.wall_s:.1f}", f"{one.cpu_s:.1f}", f"{one.peak_bytes / 1e6:.0f}"] for one in run.costs]
    print_table(["part", "wall s", "cpu s", "peak MB"], rows, right=("wall s", "cpu s", "peak MB"))
    print_facts(
        {
            "model": model.identity.label,
            "run": run.id,
            "report": str(path),
            "in all": f"{time.perf_counter() - started:.0f} s",
        }
    )
    typer.echo()
    for result in results:
        typer.echo(f"{result.sentence}\n")
    typer.echo(
        "In one sentence: "
        + conclude([(result.effect, result.ratio) for result in results if result.effect and result.ratio])
    )
    if not no_open:
        open_in_browser(path)


def _modules() -> tuple[str, ...]:
    from glassbook.cli.steering_run import MODULES

    return ("glassbook.cli.demo", *MODULES)


def _work(run: "Run", report: "Progress") -> tuple["Model", list["Steered"], Path]:
    from glassbook.cli.steering_run import keep_results, write_page
    from glassbook.core.devices import hardware
    from glassbook.models.loading.opening import open_model
    from glassbook.steering.recipes import actadd, mean_difference
    from glassbook.tasks.contrast import load_contrast

    with run.part("open the model"):
        model = open_model("smollm2-135m", progress=report)
    run.note_weights(model.identity.to_dict())
    run.note_hardware(hardware())
    with run.part("capture real text"):
        more = [_reading(run, model)]
    contrast = load_contrast("sentiment")
    with run.part("make two vectors"):
        pair = actadd(model, *PAIR, ACTADD_SITE) * ACTADD_STRENGTH
        mean = mean_difference(model, contrast.positives, contrast.negatives, MEAN_SITE) * MEAN_STRENGTH
    results = [
        _measured(run, model, f"ActAdd “{PAIR[0]}” − “{PAIR[1]}”", pair, report),
        _measured(run, model, "The mean difference of 48 pairs of sentences", mean, report),
    ]
    with run.part("write run and report"):
        keep_results(run, model, results)
        path = write_page(run, model, results, "A first day with a language model", _LEAD, more)
    return model, results, path


_LEAD = (
    "We open SmolLM2-135M-Instruct, read the norm of its residual stream on a page of Alice in Wonderland, build one steering "
    "vector from a pair of prompts and one from 48 pairs of sentences, and hold what each does against random directions, "
    "its own flipped sign and a plain instruction."
)


def _reading(run: "Run", model: "Model") -> "Section":
    """Capture the residual stream of a page at every layer; return the section that shows it."""
    from glassbook.activations.capture import capture
    from glassbook.text.corpora import open_corpus
    from glassbook.views.line_chart import LineChart, Series
    from glassbook.views.page import Section
    from glassbook.views.token_strip import TokenStrip

    corpus = open_corpus(TEXT)
    tokens = model.to_tokens(next(iter(corpus))[:600])[:, :96]
    cache = capture(model, tokens, "L*.resid_post")
    run.note_data(corpus.name, corpus.sha256, 1, corpus.licence)
    norms = cache.stack("resid_post").norm(dim=-1)[:, 0]
    ordinary, layers = norms[:, 1:].mean(1).tolist(), list(range(len(norms)))
    series = [
        Series(name="first token", x=layers, y=norms[:, 0].tolist()),
        Series(name="mean of the others", x=layers, y=ordinary),
    ]
    chart = LineChart(
        title="Length of the residual stream, layer by layer", x_label="layer", y_label="norm", series=series,
        caption="The first token is an attention sink: its norm is far above every other's, which is why ActAdd leaves it alone.",
    )  # fmt: skip
    strip = TokenStrip(
        title="The same length, token by token", tokens=model.to_str_tokens(tokens)[1:41], value_name="norm after layer 15",
        values=norms[15, 1:41].tolist(), caption="Forty tokens of the page after its first; the bar is the norm after layer 15.",
    )  # fmt: skip
    lead = f"{tokens.shape[1]} tokens, {len(cache)} Sites (L*.resid_post), one pass that ended when the last was read."
    return Section("What the model holds while it reads", lead, [chart, strip])


def _measured(run: "Run", model: "Model", label: str, vector: "SteeringVector", report: "Progress") -> "Steered":
    from glassbook.cli.steering_experiment import unrelated_windows
    from glassbook.cli.steering_report import Steered
    from glassbook.steering.comparison import complete_both, measure_effect
    from glassbook.steering.fluency import perplexity_ratio
    from glassbook.tasks.contrast import load_choices

    with run.part("complete with and without"):
        trials = [complete_both(model, prompt, vector, **WRITING) for prompt in PROMPTS]
    with run.part(f"effect beside {N_RANDOM} random directions"):
        choices = load_choices("sentiment")
        effect = measure_effect(
            model,
            vector,
            choices.items,
            label=label,
            n_random=N_RANDOM,
            instruction=choices.instruction,
            progress=report,
        )
    with run.part("cost on unrelated text"):
        ratio = perplexity_ratio(model, unrelated_windows(model), vector)
    return Steered(label=label, vector=vector, trials=trials, effect=effect, ratio=ratio)


def _print_trials(result: "Steered") -> None:
    print_heading(result.label)
    for plain, steered in result.trials:
        for trial in (plain, steered):
            typer.echo(f"  {trial.label:10} {printable(trial.completion.text.strip())!r}")
