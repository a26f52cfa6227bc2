"""The sweep: which layer and strength a direction should act at, found on one half of the items and told of the other.

Stage 1 scores the whole grid by teacher forcing and chooses; stage 2 writes at the chosen cell and its neighbors. Random
directions of the same norm and the flipped sign go through the same choice over the same grid, so that the search
itself is controlled for.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.steering.sweeps.choice import Found, find
from glassbook.steering.sweeps.grid import VECTOR, Bench
from glassbook.steering.sweeps.plan import Plan
from glassbook.steering.sweeps.result import Sweep, Written, lead_over
from glassbook.steering.sweeps.settings import Judge, Pairs, Progress, Settings
from glassbook.steering.sweeps.trials import trials_of, write_trials
from glassbook.steering.sweeps.words import judge, say_sweep


def sweep(
    model: Model,
    pairs: Pairs,
    layers: Sequence[int] | None = None,
    strengths: Sequence[float] = (1, 2, 4, 8),
    effect: str | Judge = "choice-log-odds",
    *,
    run: Run | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Sweep:
    """Return what a direction does at every layer and strength, the best cell under a budget, and whether it may be believed.

    `pairs` is a name (`sentiment`, `persona/...`, `risk/...`), a ContrastSet, (positives, negatives), a VectorSet, or one
    vector to be tried at each layer. `layers` None takes those of a set, else the layers from a seventh to two thirds of the
    depth. `effect` is a name in EFFECTS or a function text -> number. `settings` are the fields of `Settings`. With a `run`
    all that is measured is on the disk at once: the same call with the run resumed goes on where it stopped, to the same
    bits on the same processor and threads. Raises InputError, SiteError or VectorError for what cannot be swept.
    """
    plan = Plan(model, pairs, layers, strengths, effect, Settings(**settings))
    bench, halves = plan.bench(run, progress), plan.halves()
    with _part(run, "stage 1: grid and choice"):
        found = find(bench, halves, plan.settings.budget, plan.prompted())
    cell, told = found.chosen.vector.cell, plan.material.instruction
    with _part(run, "stage 2: writing beside the controls"):
        trials = trials_of(bench, (cell.layer, cell.strength), told)
        written = write_trials(bench, halves[1], trials, plan.writing)
    return _concluded(plan, bench, found, written)


def _concluded(plan: Plan, bench: Bench, found: Found, written: tuple[Written, ...]) -> Sweep:
    """Return the whole sweep with what may be said of it."""
    chosen, unbounded, material = found.chosen, found.unbounded, plan.material
    prompting = sum(found.prompted) / len(found.prompted) if found.prompted else None
    verdict = judge(chosen, unbounded, prompting)
    said = (material.instruction, prompting)
    lead = lead_over(chosen.vector, found.prompted, plan.settings.seed)
    return Sweep(
        label=material.label,
        effect=plan.effect,
        unit=plan.make.unit,
        settings=plan.asked(),
        split=material.split,
        layers=tuple(sorted(material.vectors)),
        strengths=plan.strengths,
        grid=found.grid,
        flipped_grid=found.flipped_grid,
        frontier=found.frontier,
        chosen=chosen,
        unbounded=unbounded,
        unsteered=found.unsteered,
        instruction=material.instruction,
        prompted=found.prompted,
        prompts=plan.writing.prompts,
        written=written,
        vector=bench.directions.steer(VECTOR, (chosen.vector.cell.layer, chosen.vector.cell.strength)),
        verdict=verdict,
        sentence=say_sweep(material.label, verdict, (plan.effect, plan.make.unit), chosen, unbounded, said, lead),
    )


def _part(run: Run | None, name: str) -> AbstractContextManager[None]:
    return run.part(name) if run else nullcontext()
