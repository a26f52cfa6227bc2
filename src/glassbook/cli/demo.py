"""`glassbook demo`: the main job on real text, from opening the model to a report with controls, in one command."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_heading, print_json, print_table, printable, progress
from glassbook.cli.recording import COMMAND, Root

if TYPE_CHECKING:
    from glassbook.cli.steering_report import Steered
    from glassbook.files.hashes import Progress
    from glassbook.models.model import Model
    from glassbook.runs.record import Run
    from glassbook.steering.sweeps.result import Sweep
    from glassbook.views.page import Section

# Chosen before anything was measured. The layers are fractions of the depth: ActAdd's published pair sits at 6 of 48 blocks
# with c = 5 (2308.10248), contrastive vectors work best near the middle (2312.06681).
PAIR, ACTADD_SITE, ACTADD_STRENGTH = ("I love this", "I hate this"), "L4.resid_pre", 5.0
CONTRAST, LAYERS, STRENGTHS = "sentiment", (9, 12, 15, 18, 21), (0.25, 0.5, 1.0)
SETTINGS: dict[str, Any] = {"n_items": 16, "n_windows": 16, "window": 64, "n_random": 20, "seed": 0}
"""Half of the items and of the windows choose the cell, the other half report it."""
PROMPTS = ("I think the people next door are", "When we got to the hotel, the room was")
TEXT = "alice"
WRITING = {"max_new_tokens": 32, "temperature": 0.7, "top_p": 0.9, "frequency_penalty": 0.5, "seed": 0}
N_RANDOM = 20

NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not show the report in a browser.")]


def demo(root: Root = None, no_open: NoOpen = False, as_json: Json = False) -> None:
    """Open the default model, read it, find where a direction works, hold it against its controls, and show it in a notebook."""
    from glassbook.cli.demo_notebook import show_in_notebook
    from glassbook.runs.record import start_run
    from glassbook.views.page import open_in_browser

    started = time.perf_counter()
    config: dict[str, object] = {"contrast": CONTRAST, "layers": LAYERS, "strengths": STRENGTHS, "settings": SETTINGS}
    config |= {"pair": PAIR, "actadd": [ACTADD_SITE, ACTADD_STRENGTH], "prompts": PROMPTS, "n_random": N_RANDOM}
    config |= {"text": TEXT, "writing": WRITING}
    with start_run("demo", COMMAND.get(), config, seed=0, root=root, modules=_modules()) as run, progress() as report:
        model, found, pair, path = _work(run, report)
    page = show_in_notebook(run.folder)
    if as_json:
        told = {"run": run.id, "report": str(path), "notebook": str(page) if page else None}
        print_json({**told, "sweep": found.to_dict(), "results": [pair.to_dict()]})
        return
    _print(run, model, found, pair)
    print_facts(
        {
            "model": model.identity.label,
            "run": run.id,
            "report": str(path),
            "in all": f"{time.perf_counter() - started:.0f} s",
            **({"notebook": str(page)} if page else {}),
        }
    )
    if not no_open:
        open_in_browser(page or path)


def _modules() -> tuple[str, ...]:
    from glassbook.cli.steering_run import MODULES
    from glassbook.cli.sweep_run import MODULES as SWEEP_MODULES

    return ("glassbook.cli.demo", *MODULES, *SWEEP_MODULES)


def _work(run: "Run", report: "Progress") -> tuple["Model", "Sweep", "Steered", Path]:
    from glassbook.core.devices import hardware
    from glassbook.models.loading.opening import open_model
    from glassbook.steering.sweep import sweep

    with run.part("open the model"):
        model = open_model("smollm2-135m", progress=report)
    run.note_weights(model.identity.to_dict())
    run.note_hardware(hardware())
    with run.part("capture real text"):
        reading = _reading(run, model)
    found = sweep(model, CONTRAST, LAYERS, STRENGTHS, run=run, progress=report, **SETTINGS)
    pair = _published(run, model, report)
    with run.part("write run and report"):
        path = _write(run, model, found, pair, reading)
    return model, found, pair, path


def _write(run: "Run", model: "Model", found: "Sweep", pair: "Steered", reading: "Section") -> Path:
    """Keep every number and picture in the run; return the path of its page."""
    from glassbook.cli.steering_report import report_sections, report_views
    from glassbook.cli.steering_run import costs, making
    from glassbook.cli.sweep_options import Direction, Measured
    from glassbook.cli.sweep_report import sweep_sections, sweep_verdict
    from glassbook.cli.sweep_run import keep_found, note_data
    from glassbook.views.page import Making, render_page

    note_data(run, Direction(contrast=CONTRAST), Measured())
    sections = sweep_sections(found, keep_found(run, found))
    views = report_views(model, [pair])
    for name, view in views.items():
        run.save_view(name, view)
    run.save_json("actadd", pair.to_dict())
    sections += [*report_sections(model, [pair], views), reading]
    facts = {"Model": model.identity.label, "Precision": model.identity.dtype, "Run": run.id}
    made = Making(making(run, model), costs(run))
    page = render_page("A first day with a language model", _LEAD, sections, facts, made, sweep_verdict(found))
    return run.save_report(page)


_LEAD = (
    "We open SmolLM2-135M-Instruct and ask where in it, and how hard, a direction made from pairs of sentences should push. "
    "The place is chosen on some prompts and told on others, beside random directions that had the same choice. Then the "
    "published way to make a vector from a pair of prompts, held against the same controls, and what the model holds while "
    "it reads a page of Alice in Wonderland."
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


def _published(run: "Run", model: "Model", report: "Progress") -> "Steered":
    """Return what a pair of prompts does, at the place and strength of the paper."""
    from glassbook.cli.steering_experiment import unrelated_windows
    from glassbook.cli.steering_report import Steered
    from glassbook.steering.comparison import complete_both, measure_effect
    from glassbook.steering.fluency import perplexity_ratio
    from glassbook.steering.recipes import actadd
    from glassbook.tasks.contrast import load_choices

    label = f"ActAdd “{PAIR[0]}” − “{PAIR[1]}”"
    vector = actadd(model, *PAIR, ACTADD_SITE) * ACTADD_STRENGTH
    with run.part("ActAdd: complete with and without"):
        trials = [complete_both(model, prompt, vector, **WRITING) for prompt in PROMPTS]
    with run.part(f"ActAdd: effect beside {N_RANDOM} random directions"):
        choices = load_choices(CONTRAST)
        effect = measure_effect(
            model,
            vector,
            choices.items,
            label=label,
            n_random=N_RANDOM,
            instruction=choices.instruction,
            progress=report,
        )
    with run.part("ActAdd: cost on unrelated text"):
        ratio = perplexity_ratio(model, unrelated_windows(model), vector)
    return Steered(label=label, vector=vector, trials=trials, effect=effect, ratio=ratio)


def _print(run: "Run", model: "Model", found: "Sweep", pair: "Steered") -> None:
    from glassbook.cli.sweep import print_grid
    from glassbook.cli.sweep_report import capitalized

    print_heading("Where a direction works")
    print_grid(found)
    for one in found.written:
        if one.role in ("unsteered", "vector"):
            typer.echo(f"  {one.role:10} {printable(found.prompts[0] + one.completions[0])!r}")
    print_heading(pair.label)
    for plain, steered in pair.trials:
        for trial in (plain, steered):
            typer.echo(f"  {trial.label:10} {printable(trial.completion.text.strip())!r}")
    print_heading("What each part cost")
    rows = [[one.part, f"{one.wall_s:.1f}", f"{one.cpu_s:.1f}", f"{one.peak_bytes / 1e6:.0f}"] for one in run.costs]
    print_table(["part", "wall s", "cpu s", "peak MB"], rows, right=("wall s", "cpu s", "peak MB"))
    typer.echo(f"\n{capitalized(found.sentence)}\n\n{pair.sentence}\n")
