"""`glassbook features train`: sparse dictionaries of a model's activations, one or a sweep of many from one pass."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassbook.cli.door import tell
from glassbook.cli.features_train_options import Dictionaries, Keep, Read, Recipe
from glassbook.cli.options import Json
from glassbook.cli.output import print_facts, print_json, print_table
from glassbook.cli.recording import Root

if TYPE_CHECKING:
    from glassbook.cli.features_train_run import Training
    from glassbook.training.processes import Processes


def train(
    read: Read, dictionaries: Dictionaries, recipe: Recipe, keep: Keep, root: Root = None, as_json: Json = False
) -> None:
    """Train sparse dictionaries on MODEL's activations on CORPUS, or on what a harvest left (--store).

    --features, --kind, --k, --sparsity and --seed may be repeated: every combination learns from the same one pass. Ctrl-C
    writes a checkpoint, crashes lose what came after the last one: the same command goes on to the same bits.
    """
    from glassbook.cli.features_train_run import Asked, Training, in_step
    from glassbook.cli.train_run import together

    asked = Asked.of(read, dictionaries, recipe, keep)
    with together("ddp" if keep.distributed else None, read.device) as processes, in_step(processes):
        found = _carry_out(Training(asked, processes), processes, root)
    if found is None:
        return
    if as_json:
        print_json(found)
        return
    rows = [
        [one["name"], *(f"{one[name]:.4g}" if name in one else "-" for name in ("fvu", "l0", "dead")), one["folder"]]
        for one in found["dictionaries"]
    ]
    print_table(["dictionary", "FVU", "L0", "dead", "folder"], rows, right={"FVU", "L0", "dead"})
    for one in found["dictionaries"]:
        if one.get("fvu", 0) > 1:
            tell(f"note: {one['name']} gives back less than the mean alone would; try a smaller --lr or more steps")
    print_facts({"run": found["run"], "report": found["report"]})


def _carry_out(training: "Training", processes: "Processes", root: Path | None) -> Mapping[str, Any] | None:
    """Return what came out, in the first process."""
    from glassbook.cli.features_train_live import live_metrics
    from glassbook.cli.features_train_report import keep_page, result
    from glassbook.cli.features_train_run import clear, run_of

    if not processes.is_first:
        training.learn(None, lambda now: None)
        return None
    with run_of(training, root) as run:
        with run.part("train"), live_metrics() as report:
            trained = training.learn(run, report)
        with run.part("save"):
            places = training.save(run, trained)
        results = [result(name, one, places[name]) for name, one in trained.items()]
        run.save_json("training", {"dictionaries": results, **training.feed.facts()})
        page = keep_page(run, training, trained, results)
        clear(run)
        return {"run": run.id, "report": str(page), "dictionaries": results, **training.feed.facts()}
