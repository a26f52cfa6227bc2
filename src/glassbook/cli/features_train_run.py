"""One training of dictionaries: what it is fed with, its Run, from which the same command goes on, and what it leaves."""

import math
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassbook.activations.store import Harvest, open_store
from glassbook.activations.store.store import ActivationStore
from glassbook.cli.door import tell
from glassbook.cli.features_harvest import read_range
from glassbook.cli.features_train_live import Report
from glassbook.cli.features_train_options import SAVED_IN, Dictionaries, Keep, Read, Recipe, dictionaries_of
from glassbook.cli.options import Weights
from glassbook.cli.recording import COMMAND
from glassbook.core.devices import hardware
from glassbook.core.errors import InputError
from glassbook.features import Running, Trained, Wanted, save_dictionary, train_many
from glassbook.features.feed import Feed, Feeding, feed_of
from glassbook.files.hashes import hash_json
from glassbook.models.loading.opening import as_device
from glassbook.runs.code_hash import code_hash
from glassbook.runs.index import list_runs
from glassbook.runs.places import runs_root
from glassbook.runs.reading import StoredRun, read_run
from glassbook.runs.record import Run, start_run
from glassbook.runs.resuming import resume_run
from glassbook.text.corpora import Corpus, open_corpus
from glassbook.training.processes import Processes
from glassbook.views.view import plain

KIND = "features-train"
MODULES = ("glassbook.features.training", "glassbook.activations.store", "glassbook.models.loading.opening")
WITHOUT = ("glassbook.views", "glassbook.runs")
"""The code whose import closure a training depends on, and what of it makes no number."""

CHECKPOINTS = "checkpoints"
_LOGGED, _CHECKPOINTS = 100, 20
_TOLD = ("loss", "fvu", "l0", "dead")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that was asked, read and checked."""

    read: Read
    wanted: Mapping[str, Wanted]
    keep: Keep
    seed: int

    @classmethod
    def of(cls, read: Read, dictionaries: Dictionaries, recipe: Recipe, keep: Keep) -> "Asked":
        """Return what the options ask for; raise InputError for what cannot be, before anything is opened."""
        if (read.store is None) == (read.corpus is None):
            raise InputError("name a MODEL and a CORPUS that it reads, or the --store that a harvest left")
        if read.corpus is not None and read.model is None:
            raise InputError("a corpus needs a model that reads it; name MODEL before CORPUS")
        if keep.save_dtype not in SAVED_IN:
            raise InputError(f"'{keep.save_dtype}' is no precision to save in; choose {', '.join(SAVED_IN)}")
        seed = (dictionaries.seed or [0])[0]
        return cls(read=read, wanted=dictionaries_of(dictionaries, recipe.training()), keep=keep, seed=seed)

    def config(self, feed: Feed, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that the numbers depend on, as plain data; what it is learned from by checksum."""
        wanted = {name: asdict(one) for name, one in self.wanted.items()}
        asked = dict(feed.asked) | {"weights": feed.weights.fingerprint, "data": dict(data), "steps": feed.steps}
        where = {"out": str(Path(self.read.out).resolve()), "save_dtype": self.keep.save_dtype}
        found: dict[str, Any] = plain(asked | where | {"device": self.read.device, "dictionaries": wanted})
        return found


class Training:
    """Activations and dictionaries, ready to begin; nothing is written yet."""

    def __init__(self, asked: Asked, processes: Processes) -> None:
        self.asked, self.processes = asked, processes
        read = asked.read
        material = open_store(read.store) if read.store is not None else open_corpus(str(read.corpus))
        model = Weights(read.model, read.dtype, read.device).open() if read.model is not None else None
        harvest = None
        if read.store is None:
            kept = "bfloat16" if read.dtype == "int8" else read.dtype
            harvest = Harvest(context=read.context, documents=read_range(read.documents), dtype=kept, seed=asked.seed)
        feeding = Feeding(tokens=read.tokens, batch_size=read.batch_size, seed=asked.seed, harvest=harvest)
        sites = read.site or _only_site(material)
        self.feed = feed_of(model, material, sites, feeding)
        self.data = _data_of(material)
        self.config = asked.config(self.feed, self.data)
        for one in asked.wanted.values():
            # What cannot be made is said before a Run is begun.
            one.check_sites(len(sites))
            one.make(*self.feed.widths)

    def note(self, run: Run) -> None:
        """Record weights, rows and machine."""
        run.note_weights(self.feed.weights.to_dict())
        run.note_data(**self.data)
        run.note_hardware(hardware() | {"processes": self.processes.size})

    def learn(self, run: Run | None, report: Report) -> dict[str, Trained]:
        """Return the dictionaries, trained in the run's folder from its last checkpoint on; metrics are kept as they come."""
        folder = Path(self.processes.from_first(str(run.folder / CHECKPOINTS) if run else ""))

        def keep(step: int, metrics: Mapping[str, float]) -> None:
            if run:
                run.append(
                    "live", [{"step": step} | {name: value for name, value in metrics.items() if _is_told(name)}]
                )
                run.metric("loss", metrics["loss"], step=step)

        steps = self.feed.steps
        running = Running(
            steps=steps,
            folder=folder,
            checkpoint_every=self.asked.keep.checkpoint_every or math.ceil(steps / _CHECKPOINTS),
            log_every=math.ceil(steps / _LOGGED),
            on_metrics=keep,
            progress=report,
            processes=self.processes,
            device=as_device(self.asked.read.device),
        )
        return train_many(self.feed.rows, self.asked.wanted, running, self.feed.widths)

    def save(self, run: Run, trained: Mapping[str, Trained]) -> dict[str, Path]:
        """Save the dictionaries, each with all that is known of it, and what was measured; the checkpoints have served."""
        facts = self.feed.facts() | {"run": run.id}
        places = {name: place_of(self.asked, name) for name in trained}
        for name, one in trained.items():
            save_dictionary(places[name], one.dictionary, facts, self.asked.keep.save_dtype)
            for metric in _TOLD:
                if metric in one.history.columns:
                    run.metric(f"{metric}-{name}", one.history.last(metric))
        columns = {
            name: {key: {"steps": x, "values": y} for key, (x, y) in one.history.columns.items()}
            for name, one in trained.items()
        }
        run.save_json("history", columns)
        return places


def place_of(asked: Asked, name: str) -> Path:
    """Return the folder of one dictionary: the one asked for, or one inside it where there are several."""
    out = Path(asked.read.out)
    return out if len(asked.wanted) == 1 else out / name


def clear(run: Run) -> None:
    """Remove the checkpoints of a training that has come to its end."""
    shutil.rmtree(run.folder / CHECKPOINTS, ignore_errors=True)


@contextmanager
def run_of(training: Training, root: Path | None) -> Iterator[Run]:
    """Yield the Run of the same command that was cut short, or a new one; say how to go on where this is cut short too.

    Raises InputError for a folder that holds something already, which a dictionary must not replace.
    """
    config, seed = training.config, training.asked.seed
    found = _cut_short(hash_json([KIND, config, seed]), root)
    if found is None:
        _check_place(training.asked.read.out)
    else:
        tell(f"going on with the run {found.id}, which was cut short")
    with (
        start_run(KIND, COMMAND.get(), config, seed=seed, root=root, modules=MODULES, without=WITHOUT)
        if found is None
        else resume_run(found.folder, KIND, config, seed=seed, root=root)
    ) as run:
        training.note(run)
        try:
            yield run
        except KeyboardInterrupt:
            tell(f"a checkpoint is kept; go on with: {shlex.join(COMMAND.get())}")
            raise


@contextmanager
def in_step(processes: Processes) -> Iterator[None]:
    """Say in one sentence where another of several processes has ended, which said itself why."""
    try:
        yield
    except RuntimeError as fault:
        if processes.size == 1 or not any(network in str(fault) for network in ("gloo", "NCCL")):
            raise
        raise InputError(
            f"process {processes.rank} cannot go on alone, since another of the {processes.size} has ended; see what that "
            "one said, then give the same command again"
        ) from None


def _cut_short(asked: str, root: Path | None) -> StoredRun | None:
    """Return the newest unfinished run of what is asked, unless the code that it began with has changed."""
    for row in list_runs(root, kind=KIND, limit=None):
        if row.status == "done":
            continue
        stored = read_run(runs_root(root) / row.id)
        if stored.status == "done" or stored.record["asked"].get("sha256") != asked:
            continue
        if stored.record["code"]["sha256"] == code_hash(MODULES, WITHOUT):
            return stored
        tell(f"note: the run {stored.id} was cut short, but the code has changed since; a new one begins")
        return None
    return None


def _check_place(out: str) -> None:
    place = Path(out)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise InputError(f"'{out}' is there already; choose a new folder for --out")


def _only_site(material: ActivationStore | Corpus) -> list[str]:
    """Return the one Site of a store; raise InputError where it is not clear which is meant."""
    if isinstance(material, Corpus):
        raise InputError("say by --site whose activations are learned from, such as --site L15.resid_post")
    held = list(map(str, material.sites))
    if len(held) != 1:
        raise InputError(f"the store '{material.folder}' holds {', '.join(held)}; choose by --site")
    return held


def _data_of(material: ActivationStore | Corpus) -> dict[str, Any]:
    """Return name, checksum, number and licence of the documents that are learned from."""
    if isinstance(material, Corpus):
        # Reading it to the end is what its checksum is known from.
        rows = sum(1 for _ in material)
        return {"name": material.name, "sha256": material.sha256, "rows": rows, "licence": material.licence}
    corpus = material.facts["corpus"]
    if not material.n_tokens:
        raise InputError(f"the store '{material.folder}' holds no tokens yet; harvest some first")
    return {
        "name": corpus["name"],
        "sha256": corpus["sha256"],
        "rows": corpus["documents"],
        "licence": corpus["licence"],
    }


def _is_told(name: str) -> bool:
    return name.rpartition("/")[2] in _TOLD or name == "seconds_left"
