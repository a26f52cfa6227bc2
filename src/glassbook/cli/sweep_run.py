"""What a sweep leaves in its Run: the vector at the chosen cell, every number, the pictures, and the page that shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glassbook.cli.steering_experiment import read_texts
from glassbook.cli.steering_run import costs, making
from glassbook.cli.sweep_options import Direction, Measured
from glassbook.cli.sweep_report import sweep_lead, sweep_sections, sweep_verdict, sweep_views
from glassbook.files.hashes import hash_json
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.files import save_vector
from glassbook.steering.sweeps.effects import EFFECTS
from glassbook.steering.sweeps.material import read_layers
from glassbook.steering.sweeps.result import Sweep
from glassbook.steering.sweeps.settings import Pairs, Settings, read_strengths
from glassbook.steering.vector_set import each_vector
from glassbook.tasks.contrast import load_choices, load_contrast
from glassbook.text.corpora import open_corpus
from glassbook.views.page import Making, render_page
from glassbook.views.view import View

MODULES = ("glassbook.steering.sweep", "glassbook.models.loading.opening")
"""The code whose import closure a sweep depends on."""


def check_settings(settings: Mapping[str, Any], strengths: Sequence[float], effect: object) -> None:
    """Raise GlassbookError for options that can be known to be wrong before a model is opened."""
    Settings(**settings)
    read_strengths(strengths)
    if isinstance(effect, str):
        EFFECTS.find(effect)


def check_layers(model: Model, pairs: Pairs, layers: Sequence[int] | None) -> None:
    """Raise GlassbookError for layers that the model or the set of vectors does not have, before a Run is begun."""
    read_layers(model, pairs, layers)


def keep_sweep(run: Run, model: Model, found: Sweep, direction: Direction, measured: Measured) -> Path:
    """Write the vector, every number and picture, and the page into the Run; return the page's path."""
    with run.part("write run and report"):
        note_data(run, direction, measured)
        views = keep_found(run, found)
    facts = {"Model": model.identity.label, "Precision": model.identity.dtype, "Run": run.id}
    chosen = found.chosen.vector.cell
    facts |= {"Chosen": f"layer {chosen.layer}, strength {chosen.strength:g}"}
    made = {"Settings": ", ".join(f"{name} {value}" for name, value in found.settings.items() if value is not None)}
    page = render_page(
        f"Where should {found.label} act, and is it worth it?",
        sweep_lead(found),
        sweep_sections(found, views),
        facts,
        Making(dict(making(run, model)) | made, costs(run)),
        sweep_verdict(found),
    )
    return run.save_report(page)


def keep_found(run: Run, found: Sweep) -> dict[str, View]:
    """Write the vector, every number and picture into the Run; return the pictures by name."""
    folder = run.folder / "artifacts"
    folder.mkdir(exist_ok=True)
    for number, vector in enumerate(each_vector(found.vector)):
        save_vector(folder / f"vector-{number}.safetensors", vector)
    run.save_json("sweep", found.to_dict())
    _keep_metrics(run, found)
    views = sweep_views(found)
    for name, view in views.items():
        run.save_view(name, view)
    return views


def note_data(run: Run, direction: Direction, measured: Measured) -> None:
    """Record every set of rows that the sweep read."""
    if direction.contrast is not None:
        pairs = load_contrast(direction.contrast)
        rows = [list(pairs.positives), list(pairs.negatives)]
        run.note_data(f"contrast {pairs.name}", hash_json(rows), len(rows[0]) + len(rows[1]), pairs.licence)
    for path in (direction.positives, direction.negatives):
        if path is not None:
            texts = read_texts(path)
            run.note_data(path.name, hash_json(texts), len(texts), "unknown")
    if measured.topic is None:
        choices = load_choices(measured.choices or direction.contrast or "")
        items = [asdict(item) for item in choices.items]
        run.note_data(f"choices {choices.name}", hash_json(items), len(items), choices.licence)
    for name in (measured.topic, measured.text):
        if name is not None:
            corpus = open_corpus(name)
            run.note_data(corpus.name, corpus.sha256, sum(1 for _ in corpus), corpus.licence)


def _keep_metrics(run: Run, found: Sweep) -> None:
    ours = found.chosen
    if ours.vector.effect is not None:
        run.metric("held-out-effect", ours.vector.effect, found.unit)
    if ours.rank is not None:
        run.metric("random-directions-beaten", ours.rank.beaten)
    run.metric("perplexity-ratio", ours.vector.perplexity_ratio)
