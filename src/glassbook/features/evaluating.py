"""A dictionary measured: what it gives back, how sparsely, and what it costs its model; with intervals over contexts."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from glassbook.activations.store import ActivationStore, Harvest, harvest
from glassbook.core.errors import FileFormatError, InputError
from glassbook.core.sites import Site
from glassbook.features.belonging import check_belongs, policy_of
from glassbook.features.cards.files import dictionary_beside
from glassbook.features.dictionary import Dictionary
from glassbook.features.metrics.in_model import InModel, Predictions, predictions
from glassbook.features.metrics.reconstruction import DENSITY_EDGES, Reconstruction, Tally, summed_by
from glassbook.features.splicing import SiteOrPair, places_of
from glassbook.files.atomic import write_json
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.stats.bootstrap import bootstrap
from glassbook.stats.intervals import Interval
from glassbook.text.corpora import Corpus, Source
from glassbook.views.view import plain

FORMAT = "glassbook-evaluation/1"
EVALUATION = "evaluation.json"
READING = "tokens reconstructed"
_ROWS = 4096
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How much is read: `tokens` of a corpus (of a store all are), and `loss_contexts` in which the model's loss is taken."""

    tokens: int = 50_000
    loss_contexts: int = 16
    seed: int = 0
    force: bool = False

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.loss_contexts < 0:
            raise InputError(
                f"{self.tokens} tokens and {self.loss_contexts} contexts cannot be measured on; give at least 1 and 0"
            )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Every metric of a dictionary on one text; `in_model` is None where no model was at hand.

    `facts` say of which dictionary, on which text, at which Sites. `intervals` come from drawing contexts anew.
    """

    facts: Mapping[str, Any]
    reconstruction: Reconstruction
    in_model: InModel | None
    intervals: Mapping[str, Interval]
    densities: Float[NDArray[np.float64], " n_features"] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data but for the densities; what could not be told is None."""
        found = asdict(self.reconstruction) | {"fvu": self.reconstruction.fvu, "density_edges": DENSITY_EDGES}
        if self.in_model is not None:
            scores = {
                f"{what}_score{suffix}": getattr(self.in_model, f"{what}_score")(ablation)
                for what in ("ce", "kl")
                for ablation, suffix in (("zero", ""), ("mean", "_by_mean"))
            }
            found |= asdict(self.in_model) | scores
        intervals = {name: asdict(one) for name, one in self.intervals.items()}
        return dict(plain({"format": FORMAT, **found, "intervals": intervals, "facts": dict(self.facts)}))


def evaluate(
    dictionary: Dictionary,
    model: Model | None,
    text: Source | Corpus | ActivationStore,
    *,
    site: SiteOrPair | None = None,
    settings: EvaluationSettings | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Return the metrics of a dictionary on a corpus that the model reads, or on a store; without a model no loss is measured.

    A corpus is read as the dictionary's harvest read its own. Raises InputError for what cannot be read, DictionaryError where
    the dictionary is of another model.
    """
    how = settings or EvaluationSettings()
    if model is not None:
        check_belongs(dictionary, model.identity, how.force)
    sites = places_of(dictionary, site)
    with _opened(dictionary, model, text, sites, how, progress) as store:
        if model is not None:
            store.check_weights(model.identity)
        mean = _mean(store, sites[1])
        tally, groups = _tallied(dictionary, store, sites, mean, progress)
        said = None
        if model is not None and how.loss_contexts:
            chosen = _chosen(store, how)
            said = predictions(model, dictionary, sites, mean.to(model.device), store, chosen, progress)
        facts = {
            "kind": dictionary.kind,
            "n_features": dictionary.n_features,
            "site": str(sites[0]),
            "site_out": str(sites[1]),
            "weights": store.facts["weights"],
            "corpus": store.facts["corpus"],
            "harvest": store.facts["settings"],
            "settings": asdict(how),
        }
    return Evaluation(
        facts=facts,
        reconstruction=tally.result(),
        in_model=None if said is None else said.result(),
        intervals=_intervals(tally, groups, said, how.seed),
        densities=tally.densities(),
    )


def save_evaluation(folder: str | Path, evaluation: Evaluation) -> Path:
    """Write an evaluation beside the dictionary in a folder and return the file; raise InputError where there is none."""
    checksum, n_features = dictionary_beside(Path(folder))
    if n_features != evaluation.facts["n_features"]:
        raise InputError(
            f"'{folder}' holds a dictionary of {n_features:,} features and the evaluation is of "
            f"{evaluation.facts['n_features']:,}; evaluate the one that is there"
        )
    path = Path(folder) / EVALUATION
    write_json(path, evaluation.to_dict() | {"dictionary": checksum})
    return path


def open_evaluation(folder: str | Path) -> dict[str, Any]:
    """Return the numbers of the evaluation beside a dictionary.

    Raises FileFormatError where there is none, or one of other weights.
    """
    path, again = Path(folder) / EVALUATION, "make one with glassbook features evaluate"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as fault:
        raise FileFormatError(f"'{folder}' holds no evaluation; {again}") from fault
    except msgspec.MsgspecError as fault:
        raise FileFormatError(f"'{path}' is damaged ({fault}); {again}") from fault
    if found.get("format") != FORMAT:
        raise FileFormatError(f"'{path}' is no evaluation of ours ({FORMAT}); {again}")
    if found.get("dictionary") != dictionary_beside(Path(folder))[0]:
        raise FileFormatError(f"the evaluation in '{path}' is of other weights than the dictionary beside it; {again}")
    return found


@contextmanager
def _opened(
    dictionary: Dictionary,
    model: Model | None,
    text: Source | Corpus | ActivationStore,
    sites: tuple[Site, Site],
    how: EvaluationSettings,
    progress: Progress | None,
) -> Iterator[ActivationStore]:
    """Yield the store, or one made for now of the corpus."""
    if isinstance(text, ActivationStore):
        yield text
        return
    if model is None:
        raise InputError("a corpus needs a model that reads it; give one, or a store instead of the corpus")
    policy = policy_of(dictionary)
    known = {} if policy is None else {"policy": policy}
    context = min(256, model.config.n_ctx or 256)
    asked = Harvest(tokens=how.tokens, context=context, dtype="float32", seed=how.seed, **known)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        yield harvest(model, text, list(dict.fromkeys(sites)), folder, asked, progress)


def _batches(store: ActivationStore, sites: tuple[Site, Site]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield the first row of each batch, what is read and what stands where the dictionary writes."""
    for first in range(0, store.n_tokens, _ROWS):
        stop = min(first + _ROWS, store.n_tokens)
        read = store.rows(sites[0], first, stop)
        yield first, read, read if sites[0] == sites[1] else store.rows(sites[1], first, stop)


def _mean(store: ActivationStore, site: Site) -> Float[Tensor, " d_out"]:
    """Return the mean activation where the dictionary writes."""
    if not store.n_tokens:
        raise InputError(f"'{store.folder}' holds no token, so nothing can be measured; harvest some")
    total = torch.zeros(store.width(site), dtype=torch.float64)
    for _, _, written in _batches(store, (site, site)):
        total += written.double().sum(0)
    return (total / store.n_tokens).float()


@torch.no_grad()
def _tallied(
    dictionary: Dictionary,
    store: ActivationStore,
    sites: tuple[Site, Site],
    mean: Float[Tensor, " d_out"],
    progress: Progress | None,
) -> tuple[Tally, NDArray[Any]]:
    """Return the tally of every row of a store, and of which context each row is."""
    tally, device = Tally(mean, dictionary.n_features), dictionary.encoder.device
    # A dictionary in half precision is measured by its weights, not by how their products are rounded.
    is_wide = dictionary.encoder.dtype is torch.float32
    working = dictionary if is_wide else deepcopy(dictionary).float()
    for first, read, written in _batches(store, sites):
        x, y = read.to(device, torch.float32), written.to(device, torch.float32)
        features = working.encode(x)
        decoded, past = working.decode(features), working.skip(x)
        tally.add(y, decoded if past is None else decoded + past, features)
        if progress:
            progress(READING, first + len(x), store.n_tokens)
    return tally, store.contexts().numpy()


def _chosen(store: ActivationStore, how: EvaluationSettings) -> list[int]:
    """Return contexts drawn by the seed, in their order."""
    drawn = np.random.default_rng([how.seed, 7]).permutation(store.n_contexts)[: how.loss_contexts]
    return sorted(drawn.tolist())


def _intervals(tally: Tally, groups: NDArray[Any], said: Predictions | None, seed: int) -> dict[str, Interval]:
    """Return intervals of what is told most, from drawing contexts anew; what some draw does not have gets none."""
    columns = tally.columns()
    missed, varied, active, n = summed_by(
        groups, columns["missed"], columns["varied"], columns["l0"], np.ones(len(groups))
    )
    found = {"explained_variance": _ratio(varied - missed, varied, seed), "l0": _ratio(active, n, seed)}
    if said is not None:
        for what, values in (("ce", said.ce), ("kl", said.kl)):
            sides = dict(zip(values, summed_by(said.contexts, *values.values()), strict=True))
            for ablation, suffix in (("zero", ""), ("mean", "_by_mean")):
                saved, costs = sides[ablation] - sides["spliced"], sides[ablation] - sides["plain"]
                found[f"{what}_score{suffix}"] = _ratio(saved, costs, seed)
    return {name: interval for name, interval in found.items() if interval is not None}


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], seed: int) -> Interval | None:
    """Return one sum over contexts over another, with its interval.

    None where what is below may come to nothing, and of one context alone, which says nothing of how much they differ.
    """
    if len(above) < 2 or not (below > 0).all():
        return None
    numbers = np.arange(len(above), dtype=np.float64)

    def statistic(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        at = drawn.astype(np.int64)
        return np.asarray(above[at].sum(-1) / below[at].sum(-1))

    return bootstrap(numbers, statistic, n_resamples=_RESAMPLES, seed=seed)
