"""One check from its options, and what it leaves in its Run: the vector, every number, the pictures and the page."""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassbook.cli.check import Acting, Measuring
from glassbook.cli.check_report import check_facts, check_lead, check_sections, check_verdict, check_views
from glassbook.cli.steering_experiment import UNRELATED, unrelated_windows
from glassbook.cli.steering_run import costs, making
from glassbook.cli.sweep_options import read_layers
from glassbook.cli.vector_files import read_vectors
from glassbook.core.errors import InputError
from glassbook.files.hashes import Progress, hash_json, sha256_file
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.check import PROMPTS, CheckPlan, CheckReport, check_items, check_vectors
from glassbook.steering.files import save_vector
from glassbook.steering.vector_set import Vectors, VectorSet, each_vector
from glassbook.tasks.contrast import ChoiceItem, ChoiceSet, load_choices
from glassbook.text.corpora import open_corpus
from glassbook.views.page import Making, render_page
from glassbook.views.view import plain

MODULES = ("glassbook.steering.check", "glassbook.steering.formats.control_vector", "glassbook.models.loading.opening")
"""The code whose import closure a check depends on."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is asked of a check, everything read that needs no model."""

    path: Path
    acting: Acting
    layers: Sequence[int] | None
    choices: ChoiceSet | None
    items: Sequence[ChoiceItem]
    plan: CheckPlan
    n_tokens: int

    @classmethod
    def of(cls, path: Path, acting: Acting, measuring: Measuring) -> "Check":
        """Return the check that the options ask for; raise GlassbookError for what is wrong before a model is opened."""
        if not math.isfinite(acting.strength) or acting.strength == 0:
            raise InputError(
                f"--strength {acting.strength:g} steers nothing that could be checked; give a number other than 0"
            )
        choices = None if measuring.pairs is None else load_choices(measuring.pairs)
        items = _drawn(choices.items, measuring.n_items, measuring.seed) if choices else []
        own = choices.instruction if choices else ""
        plan = CheckPlan(
            n_random=measuring.n_random,
            seed=measuring.seed,
            instruction=own if measuring.instruction is None else measuring.instruction,
            prompts=measuring.prompt or PROMPTS,
            max_new_tokens=measuring.max_new_tokens,
        )
        layers = None if acting.layers is None else read_layers(acting.layers)
        return cls(path, acting, layers, choices, items, plan, measuring.n_tokens)

    def vectors(self, model: Model) -> Vectors:
        """Return the vectors of the file at the layers and strength asked for; raise GlassbookError where they do not fit."""
        found = read_vectors(self.path, model, self.acting.force)
        if self.layers is not None:
            found = VectorSet(each_vector(found)).at(self.layers)
        return found * self.acting.strength

    def check(self, model: Model) -> None:
        """Raise GlassbookError for what can be known to be wrong before a Run is begun."""
        model.edits_of(self.vectors(model))
        check_items(model, self.items)
        for prompt in self.plan.prompts:
            model.read(prompt)

    def carry_out(self, model: Model, run: Run, report: Progress) -> CheckReport:
        """Return what was measured; the run learns which rows were read."""
        run.note_data(self.path.name, sha256_file(self.path), 1, "unknown")
        if self.choices is not None:
            rows = [asdict(item) for item in self.items]
            run.note_data(f"choices {self.choices.name}", hash_json(rows), len(rows), self.choices.licence)
        corpus = open_corpus(UNRELATED, limit=1)
        run.note_data(corpus.name, corpus.sha256, 1, corpus.licence)
        label = f"{self.path.name} at strength {self.acting.strength:g}"
        with run.part(f"check beside {self.plan.n_random} random directions"):
            return check_vectors(
                model,
                self.vectors(model),
                self.items,
                _cut(unrelated_windows(model), self.n_tokens),
                label=label,
                plan=self.plan,
                progress=report,
            )


def keep_check(run: Run, model: Model, checked: CheckReport) -> Path:
    """Write the vector, every number, every picture and the page into the Run; return the page's path."""
    path = run.folder / "artifacts" / "vector.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_vector(path, checked.vectors)
    run.save_json("check", dict(plain(checked.to_dict())))
    _keep_metrics(run, checked)
    views = check_views(model, checked)
    for name, view in views.items():
        run.save_view(name, view)
    page = render_page(
        f"Does {checked.label} work?",
        check_lead(model, checked),
        check_sections(checked, views),
        check_facts(model, checked) | {"Run": run.id},
        Making(making(run, model), costs(run)),
        check_verdict(checked),
    )
    return run.save_report(page)


def _keep_metrics(run: Run, checked: CheckReport) -> None:
    numbers: dict[str, Any] = {"perplexity-ratio": checked.cost.perplexity_ratio, "kl": checked.cost.kl}
    numbers |= {"budget-ends": checked.budget.multiple, "coherence-breaks": checked.broken.multiple}
    if checked.effect is not None:
        run.metric("shift", checked.effect.steered_shift, "nats")
        run.metric("random-directions-beaten", checked.effect.beaten)
    for name, value in numbers.items():
        if value is not None:
            run.metric(name, value)


def _cut(windows: Sequence[Sequence[int]], n_tokens: int) -> list[Sequence[int]]:
    """Return the whole windows within that many tokens, or the beginning of the first."""
    width = len(windows[0])
    whole = [window for number, window in enumerate(windows) if (number + 1) * width <= n_tokens]
    return whole or [windows[0][:n_tokens]]


def _drawn(items: Sequence[ChoiceItem], n: int, seed: int) -> list[ChoiceItem]:
    """Return at most `n` of the items, chosen by the seed, in the order given."""
    if len(items) <= n:
        return list(items)
    kept = random.Random(f"check/{seed}").sample(range(len(items)), n)
    return [items[index] for index in sorted(kept)]
