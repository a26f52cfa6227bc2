"""What a steering experiment leaves in its Run: vectors, pictures, numbers, and the page that shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from glassbook.cli.steering_report import Steered, report_sections, report_verdict, report_views
from glassbook.models.identity import Identity
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.files import save_vector
from glassbook.views.cost_table import Cost, Costs
from glassbook.views.page import Making, Section, render_page

MODULES = ("glassbook.steering.comparison", "glassbook.steering.recipes", "glassbook.models.loading.opening")
"""The code whose import closure a steering run depends on."""


def keep_results(run: Run, model: Model, results: Sequence[Steered]) -> None:
    """Write every vector, number and picture of the experiment into its Run."""
    for number, result in enumerate(results):
        path = run.folder / "artifacts" / f"vector-{number}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_vector(path, result.vector)
        run.save_json(f"result-{number}", result.to_dict())
        if result.effect is not None and result.ratio is not None:
            run.metric(f"shift-{number}", result.effect.steered_shift, "nats")
            run.metric(f"random-directions-beaten-{number}", result.effect.beaten)
            run.metric(f"perplexity-ratio-{number}", result.ratio)
    for name, view in report_views(model, results).items():
        run.save_view(name, view)


def write_page(
    run: Run, model: Model, results: Sequence[Steered], title: str, lead: str, more: Sequence[Section] = ()
) -> Path:
    """Write the run's report, `more` sections first; return its path."""
    verdict = report_verdict(results)
    facts = {"Model": model.identity.label, "Precision": model.identity.dtype, "Run": run.id}
    page = render_page(
        title, lead, [*more, *report_sections(model, results)], facts, Making(making(run, model), costs(run)), verdict
    )
    return run.save_report(page)


def costs(run: Run) -> Costs:
    """Return what each part of the run has cost so far."""
    parts = [
        Cost(part=one.part, wall_s=one.wall_s, cpu_s=one.cpu_s, peak_mb=one.peak_bytes / 1e6, flop=one.flop)
        for one in run.costs
    ]
    return Costs(title="What each part cost", caption="Peak memory is the whole process's.", parts=parts)


def making(run: Run, model: Model) -> Mapping[str, str]:
    """Return how the run was made, fact by fact."""
    return making_on(run, model.identity)


def making_on(run: Run, weights: Identity) -> Mapping[str, str]:
    """Return how a run on these weights was made, fact by fact."""
    asked, machine = run.record["asked"], run.record["hardware"]
    versions = ", ".join(f"{name} {number}" for name, number in run.record["versions"].items())
    return {
        "Command": " ".join(asked["command"]),
        "Seed": str(asked["seed"]),
        "Weights": f"{weights.label}, {weights.dtype}, fingerprint {weights.fingerprint[:16]}",
        "Code": f"import closure {run.record['code']['sha256'][:16]}",
        "Data": "; ".join(f"{one['name']} ({one['rows']} rows, {one['sha256'][:16]})" for one in run.record["data"]),
        "Versions": versions,
        "Machine": f"{machine.get('cpu', machine['processor'])}, {machine.get('threads', machine['cores'])} threads",
        "Folder": run.folder.name,
    }
