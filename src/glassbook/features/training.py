"""From activations to a trained dictionary: one, or a sweep of many from one pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from glassbook.activations.store.store import ActivationStore
from glassbook.core.errors import InputError
from glassbook.features.dictionary import DICTIONARIES, Dictionary, make_dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.feed import Feeding, feed_of
from glassbook.features.learning import Batch, DictionaryLearner, DictionarySettings
from glassbook.features.many import ManyLearner
from glassbook.features.splicing import SiteOrPair
from glassbook.features.transcoder import Transcoder
from glassbook.models.model import Model
from glassbook.text.corpora import Corpus, Source
from glassbook.training import History, Progress, Settings, Stream
from glassbook.training import train as run_loop
from glassbook.training.processes import ALONE, Processes

FIT_ROWS = 65_536
"""Rows to which a reference, such as PCA, is fitted."""

ALONE_NAME = "dictionary"
"""What the one dictionary of a training is called in its checkpoints."""


@dataclass(frozen=True)
class Trained:
    """A dictionary that takes the model's own activations, and every metric of its training."""

    dictionary: Dictionary
    history: History


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A dictionary to be trained: kind, width, `k` where the kind has one, further settings of the kind and of the training."""

    n_features: int
    kind: str = "batchtopk"
    k: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def check_sites(self, n_sites: int) -> None:
        """Raise DictionaryError unless a transcoder is given two Sites, and every other kind one."""
        is_transcoder = issubclass(DICTIONARIES.find(self.kind), Transcoder)
        if is_transcoder and n_sites == 1:
            raise DictionaryError(
                f"a {self.kind} has two Sites, what is read and what is written, and one was given; give both in this order"
            )
        if not is_transcoder and n_sites == 2:
            raise DictionaryError(
                f"a {self.kind} dictionary has one Site and two were given; give one, or choose transcoder as its kind"
            )

    def make(self, d_in: int, d_out: int) -> Dictionary:
        """Return the dictionary, untrained; raise DictionaryError for settings that the kind does not have."""
        if self.kind == "omp":
            raise DictionaryError(
                "matching pursuit searches in the directions of a dictionary that is there; make it with MatchingPursuit.of"
            )
        settings = dict(self.settings)
        if self.k is not None:
            inner = dict(settings.get("activation_settings", {}))
            is_transcoder = issubclass(DICTIONARIES.find(self.kind), Transcoder)
            settings |= {"activation_settings": inner | {"k": self.k}} if is_transcoder else {"k": self.k}
        return make_dictionary(self.kind, d_in, self.n_features, d_out, settings)


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a training runs: steps, where its checkpoints lie and how many steps lie between, who is told of it."""

    steps: int
    folder: str | Path | None = None
    checkpoint_every: int = 0
    log_every: int = 10
    budget_s: float | None = None
    on_metrics: Callable[[int, Mapping[str, float]], None] | None = None
    progress: Callable[[Progress], None] | None = None
    processes: Processes = ALONE
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def train(
    model: Model | None,
    corpus: Source | Corpus | ActivationStore,
    *,
    site: SiteOrPair,
    n_features: int,
    kind: str = "batchtopk",
    k: int | None = None,
    **how: Any,
) -> Trained:
    """Return a dictionary trained on what a model makes of a corpus at a Site, or on a store (then `model` may be None).

    A transcoder takes two Sites, what is read and what is written. `how`: `tokens` (200,000 of a corpus, all of a store, which is
    read again where more are asked for), `batch_size` (4,096 tokens), `seed`, `harvest` (how a corpus is read), `settings` of the
    kind, and the fields of Running and DictionarySettings but for `steps`. A training that was cut short goes on from `folder`.
    Raises InputError or DictionaryError for what cannot be trained.
    """
    given = {one.name: how.pop(one.name) for one in fields(Feeding) if one.name in how and one.name != "seed"}
    feeding = Feeding(**{"seed": int(how.get("seed", 0)), **given})
    sites = site if isinstance(site, tuple) else (site,)
    Wanted(n_features=n_features, kind=kind).check_sites(len(sites))
    feed = feed_of(model, corpus, sites, feeding)
    running = {one.name: how.pop(one.name) for one in fields(Running) if one.name in how}
    wanted = Wanted(n_features=n_features, kind=kind, k=k, settings=how.pop("settings", {}), training=how)
    done = train_many(feed.rows, {ALONE_NAME: wanted}, Running(steps=feed.steps, **running), feed.widths)
    one = done[ALONE_NAME]
    one.dictionary.facts |= feed.facts()
    return one


def train_many(
    rows: Stream, wanted: Mapping[str, Wanted], running: Running, widths: tuple[int, int]
) -> dict[str, Trained]:
    """Return dictionaries by name, all trained on one pass over a Stream of activations; references are fitted.

    `widths` are those of what is read and written. Checkpoints in the folder of `running` hold all of them. Every one of several
    processes is given the same Stream.
    """
    made = {name: one.make(*widths).to(running.device) for name, one in wanted.items()}
    references = {name: dictionary for name, dictionary in made.items() if dictionary.is_reference}
    if references:
        _fit(list(references.values()), rows, running.steps)
    learners = {
        name: DictionaryLearner(dictionary, _settings(wanted[name], running), running.processes)
        for name, dictionary in made.items()
        if name not in references
    }
    history = History()
    if learners:
        loop = Settings(
            steps=running.steps,
            checkpoint_every=running.checkpoint_every,
            log_every=running.log_every,
            budget_s=running.budget_s,
            processes=running.processes,
        )
        told = {"folder": running.folder, "on_metrics": running.on_metrics, "progress": running.progress}
        history = run_loop(ManyLearner(learners), rows, loop, **told)  # type: ignore[arg-type]
    done = references | {name: learner.dictionary() for name, learner in learners.items()}
    for name, dictionary in done.items():
        learner = learners.get(name)
        dictionary.facts |= {"steps": history.steps_done} | ({"training": learner.told()} if learner else {})
    return {name: Trained(done[name], _own_history(history, name)) for name in wanted}


def _settings(wanted: Wanted, running: Running) -> DictionarySettings:
    try:
        return DictionarySettings(steps=running.steps, **wanted.training)
    except TypeError:
        known = [one.name for one in fields(DictionarySettings) if one.name != "steps"]
        wrong = [name for name in wanted.training if name not in known]
        raise InputError(f"a training has no '{', '.join(wrong)}'; it has {', '.join(known)}") from None


def _fit(references: list[Dictionary], rows: Stream, steps: int) -> None:
    """Fit references to the first rows of a stream, which then stands where it stood."""
    before, found, n_rows = rows.state(), [], 0
    for _ in range(steps):
        batch: Batch = rows.next()
        found.append(batch[0] if isinstance(batch, tuple) else batch)
        n_rows += len(found[-1])
        if n_rows >= FIT_ROWS:
            break
    rows.load_state(before)
    for dictionary in references:
        dictionary.fit(torch.cat(found).to(dictionary.encoder.device))


def _own_history(history: History, name: str) -> History:
    """Return the metrics of one of several dictionaries, and those of all under their own names."""
    begin = f"{name}/"
    own = {key.removeprefix(begin): value for key, value in history.columns.items() if key.startswith(begin)}
    shared = {key: value for key, value in history.columns.items() if "/" not in key}
    return History(shared | own, history.steps_done, history.is_finished)
