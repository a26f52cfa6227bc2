"""Sparse probing: how well a few features tell a class of texts, beside the stream, random directions and shuffled labels.

Gurnee et al. 2023 (2305.01610); as a metric of dictionaries Karvonen et al. 2025 (SAEBench, 2503.09532). The k features whose
means over the two classes lie furthest apart in the training texts are given to a logistic probe, which is scored on other
texts. A set of many classes is as many tasks, one class against as many texts of the others, so that guessing is right at half
of them. Unlike in SAEBench a feature counts times the length of its direction, so that no scale matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features.dictionary import Dictionary
from glassbook.features.metrics.labelled_texts import TEST, TRAIN, LabelledTexts
from glassbook.features.metrics.logistic import FEWEST, check_classes, fit_probe
from glassbook.features.metrics.pooling import STREAM, Pool
from glassbook.features.metrics.random_control import random_like
from glassbook.features.splicing import SiteOrPair, places_of
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.stats.bootstrap import bootstrap
from glassbook.stats.intervals import Interval
from glassbook.views.view import plain

FEATURES, RANDOM, SHUFFLED = "features", "random directions", "shuffled labels"
ALL = "all"
_RESAMPLES = 2000

Rows = Mapping[str, Float[Tensor, "text _"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbingSettings:
    """How many features a probe is given, on how many texts it learns and is tested at most, and how much of each is read."""

    ks: tuple[int, ...] = (1, 2, 5, 10, 20)
    n_train: int = 1000
    n_test: int = 500
    context: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.ks or min(self.ks) < 1:
            raise InputError(f"a probe cannot be given {list(self.ks)} features; give at least 1")
        if min(self.n_train, self.n_test) < 2 * FEWEST:
            raise InputError(
                f"{self.n_train} texts to learn from and {self.n_test} to be tested on are too few; give at least "
                f"{2 * FEWEST} of both"
            )


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of texts by what they are made of (features, the stream, ...), and which texts are of the class."""

    rows: Rows
    is_positive: Bool[Tensor, " text"]


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One task: the accuracy on the test texts, by what the probe was given (`features`, `stream`, ...) and how many of it.

    `chosen` are the features, the one that tells most first.
    """

    data: str
    task: str
    n_train: int
    n_test: int
    chosen: tuple[int, ...]
    accuracy: Mapping[str, Mapping[str, Interval]]


@dataclass(frozen=True, kw_only=True)
class Probing:
    """Sparse probing on every task; `facts` say of which dictionary, at which Site, on which texts."""

    facts: Mapping[str, Any]
    tasks: tuple[Probed, ...]

    def mean(self, given: str, k: int | str) -> float | None:
        """Return the mean accuracy over sets of texts, each the mean over its tasks; None where nothing was measured."""
        sets: dict[str, list[float]] = {}
        for one in self.tasks:
            if (found := one.accuracy.get(given, {}).get(str(k))) is not None:
                sets.setdefault(one.data, []).append(found.estimate)
        return sum(sum(one) / len(one) for one in sets.values()) / len(sets) if sets else None

    def on(self, data: str) -> "Probing":
        """Return the tasks of one set of texts."""
        return Probing(facts=self.facts, tasks=tuple(one for one in self.tasks if one.data == data))

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data."""
        names = {given: list(one) for task in self.tasks for given, one in task.accuracy.items()}
        means = {given: {k: self.mean(given, k) for k in ks} for given, ks in names.items()}
        return dict(plain({"mean_accuracy": means, "tasks": [asdict(one) for one in self.tasks], "facts": self.facts}))


def sparse_probing(
    dictionary: Dictionary,
    model: Model,
    sets: Sequence[LabelledTexts],
    *,
    site: SiteOrPair | None = None,
    settings: ProbingSettings | None = None,
    progress: Progress | None = None,
) -> Probing:
    """Return how well few features of a dictionary tell the classes of each set of texts; raise InputError for sets too small."""
    how, (read, _) = settings or ProbingSettings(), places_of(dictionary, site)
    if not sets:
        raise InputError("there is no set of texts to probe on; give one, such as books")
    found: list[Probed] = []
    for one in sets:
        train, test = (_drawn(one, part, n, how.seed) for part, n in ((TRAIN, how.n_train), (TEST, how.n_test)))
        places = sorted({place for drawn in (train, test) for numbers in drawn.values() for place in numbers})
        to_learn = [one.texts[place] for numbers in train.values() for place in numbers]
        pool = Pool(model, dictionary, read, how.context, sorted(set(to_learn)))
        control = random_like(dictionary, pool.sample(), how.seed)
        texts = [one.texts[place] for place in places]
        rows = pool.rows(texts, {FEATURES: dictionary, RANDOM: control}, _of(one.name, progress))
        at = {place: number for number, place in enumerate(places)}
        for name in one.names[1:] if len(one.names) == 2 else one.names:
            label = one.name if len(one.names) == 2 else f"{one.name}: {name}"
            parts = [_task(rows, drawn, name, at, how.seed) for drawn in (train, test)]
            found.append(probed(parts[0], parts[1], (one.name, label), how))
    return Probing(facts=_facts(dictionary, model, sets, read, how), tasks=tuple(found))


def probed(train: Part, test: Part, names: tuple[str, str], settings: ProbingSettings) -> Probed:
    """Return what the rows of a set (its name, that of the task) tell; raise InputError where a class has fewer than two of them.

    Features are chosen, and probes fitted, on the training rows alone.
    """
    for part in (train, test):
        for rows in part.rows.values():
            check_classes(rows, part.is_positive)
    accuracy = {given: _by_k(train, test, given, settings) for given in train.rows}
    parts = [_shuffled(part, settings.seed, where) for part, where in ((train, TRAIN), (test, TEST))]
    accuracy[SHUFFLED] = _by_k(parts[0], parts[1], FEATURES, settings)
    if STREAM in train.rows:
        accuracy[STREAM][ALL] = _accuracy(train, test, STREAM, None, settings.seed)
    n = min(max(settings.ks), train.rows[FEATURES].shape[1])
    return Probed(
        data=names[0],
        task=names[1],
        n_train=len(train.is_positive),
        n_test=len(test.is_positive),
        chosen=tuple(furthest_apart(train.rows[FEATURES], train.is_positive)[:n].tolist()),
        accuracy=accuracy,
    )


def furthest_apart(rows: Float[Tensor, "n width"], is_positive: Bool[Tensor, " n"]) -> Int[Tensor, " width"]:
    """Return the columns by how far their means over the two classes lie apart, the furthest first."""
    wide = rows.double()
    apart = (wide[is_positive].mean(0) - wide[~is_positive].mean(0)).abs()
    return apart.argsort(descending=True, stable=True)


def _by_k(train: Part, test: Part, given: str, how: ProbingSettings) -> dict[str, Interval]:
    order = furthest_apart(train.rows[given], train.is_positive)
    return {str(k): _accuracy(train, test, given, order[:k], how.seed) for k in sorted(set(how.ks)) if k <= len(order)}


def _accuracy(train: Part, test: Part, given: str, columns: Int[Tensor, " k"] | None, seed: int) -> Interval:
    """Return how many test rows a probe on some columns tells, with an interval from drawing the rows anew."""
    learned, asked = (part.rows[given] if columns is None else part.rows[given][:, columns] for part in (train, test))
    right = (fit_probe(learned, train.is_positive).scores(asked) > 0) == test.is_positive
    return bootstrap(right.double().numpy(), n_resamples=_RESAMPLES, seed=seed)


def _shuffled(part: Part, seed: int, where: str) -> Part:
    """Return the rows under labels dealt out anew: what the pipeline finds where there is nothing to find."""
    order = torch.randperm(len(part.is_positive), generator=generator(seed, "shuffled labels", where))
    return Part(part.rows, part.is_positive[order])


def _drawn(texts: LabelledTexts, part: str, n: int, seed: int) -> dict[str, list[int]]:
    """Return so many texts of each class, drawn by the seed, as many as there are."""
    found = {}
    for name in texts.names:
        places = texts.places(name, part)
        order = torch.randperm(len(places), generator=generator(seed, "texts", texts.name, name, part)).tolist()
        found[name] = [places[number] for number in order[: n // 2]]
    return found


def _task(rows: Rows, drawn: Mapping[str, Sequence[int]], name: str, at: Mapping[int, int], seed: int) -> Part:
    """Return the texts of a class and as many of the others, the others in turn."""
    others = [list(places) for other, places in drawn.items() if other != name]
    dealt = [places[turn] for turn in range(max(map(len, others))) for places in others if turn < len(places)]
    n = min(len(drawn[name]), len(dealt))
    index = torch.tensor([at[place] for place in [*drawn[name][:n], *dealt[:n]]])
    return Part({given: value[index] for given, value in rows.items()}, torch.arange(2 * n) < n)


def _of(name: str, progress: Progress | None) -> Progress | None:
    """Return what says of which set of texts it reports."""
    return None if progress is None else lambda label, done, total: progress(f"{name}, {label}", done, total)


def _facts(
    dictionary: Dictionary, model: Model, sets: Sequence[LabelledTexts], site: Any, how: ProbingSettings
) -> dict[str, Any]:
    return {
        "kind": dictionary.kind,
        "n_features": dictionary.n_features,
        "site": str(site),
        "weights": model.identity.to_dict(),
        "data": [{"name": s.name, "licence": s.licence, "origin": s.origin, "sha256": s.sha256} for s in sets],
        "settings": asdict(how),
    }
