"""What a dictionary costs the model it is spliced into: its next-token loss, and how far its predictions move.

    score = (L_ablated - L_spliced) / (L_ablated - L)
with L the loss of the model as it is, of the model with the reconstruction in the activation's place, and with the activation
ablated: set to zero, or to its mean over the text. The same with KL(as it is || changed), whose own value as it is is 0. At
tokens that the dictionary's harvest left out nothing is changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.activations.store import ActivationStore
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span
from glassbook.features.dictionary import Dictionary
from glassbook.features.splicing import Splice, edits_between
from glassbook.files.hashes import Progress
from glassbook.models.model import Model

WAYS = ("spliced", "zero", "mean")
READING = "contexts in the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class InModel:
    """Mean loss in nats and mean KL over `n_predictions` next tokens: as it is, spliced, and with either ablation."""

    n_predictions: int
    ce: float
    ce_spliced: float
    ce_zero: float
    ce_mean: float
    kl_spliced: float
    kl_zero: float
    kl_mean: float

    def ce_score(self, ablation: str = "zero") -> float:
        """Return which share of the loss that ablation costs the reconstruction saves; NaN where ablation costs nothing."""
        ablated = self.ce_zero if ablation == "zero" else self.ce_mean
        return score(self.ce, self.ce_spliced, ablated)

    def kl_score(self, ablation: str = "zero") -> float:
        """Return the same of the divergence."""
        return score(0.0, self.kl_spliced, self.kl_zero if ablation == "zero" else self.kl_mean)


def score(plain: float, spliced: float, ablated: float) -> float:
    """Return (ablated - spliced) / (ablated - plain); NaN where ablation changes nothing."""
    return (ablated - spliced) / (ablated - plain) if ablated != plain else float("nan")


@dataclass(frozen=True)
class Predictions:
    """The loss and divergence of every prediction, under the name of each way; `contexts` says of which context it is."""

    contexts: NDArray[np.int64]
    ce: dict[str, NDArray[np.float64]]
    kl: dict[str, NDArray[np.float64]]

    def result(self) -> InModel:
        """Return the means."""
        losses = {f"ce_{way}": float(self.ce[way].mean()) for way in WAYS}
        moved = {f"kl_{way}": float(self.kl[way].mean()) for way in WAYS}
        return InModel(n_predictions=len(self.contexts), ce=float(self.ce["plain"].mean()), **losses, **moved)


@torch.inference_mode()
def predictions(
    model: Model,
    dictionary: Dictionary,
    sites: tuple[Site, Site],
    mean: Float[Tensor, " d_out"],
    store: ActivationStore,
    contexts: Sequence[int],
    progress: Progress | None = None,
) -> Predictions:
    """Return what the model says of every next token in some contexts of a store, in each way."""
    kept = _kept_positions(store, contexts)
    where, found = list[NDArray[np.int64]](), list[Tensor]()
    for number, context in enumerate(contexts, start=1):
        ids = store.context(context).tokens.tolist()
        if len(ids) > 1:
            ways = _ways(model, dictionary, sites, mean, at_kept(kept[context]))
            where.append(np.full(len(ids) - 1, context))
            found.append(_of_context(model, ids, ways))
        if progress:
            progress(READING, number, len(contexts))
    losses, moved = torch.cat(found, 2).double().cpu().numpy()
    names = ("plain", *WAYS)
    return Predictions(
        np.concatenate(where), dict(zip(names, losses, strict=True)), dict(zip(names, moved, strict=True))
    )


def at_kept(kept: Bool[Tensor, " length"]) -> Callable[[Span], Bool[Tensor, "batch pos"]]:
    """Return where the harvest of one context kept tokens."""

    def where(span: Span) -> Bool[Tensor, "batch pos"]:
        return span.is_real & kept.to(span.positions.device)[span.positions]

    return where


def _ways(
    model: Model,
    dictionary: Dictionary,
    sites: tuple[Site, Site],
    mean: Float[Tensor, " d_out"],
    where: Callable[[Span], Bool[Tensor, "batch pos"]],
) -> list[list[Edit]]:
    """Return the edits of each way."""

    def constant(value: Tensor) -> Callable[[Tensor, Tensor, Span], Tensor]:
        return lambda _read, written, _span: value.to(written).expand_as(written)

    spliced = Splice(dictionary=dictionary, read=sites[0], written=sites[1], error=False, where=where)
    ablations = (torch.zeros_like(mean), mean)
    return [
        spliced.edits_for(model),
        *(edits_between(model, dictionary, sites, constant(value), where) for value in ablations),
    ]


def _of_context(model: Model, ids: list[int], ways: Sequence[Sequence[Edit]]) -> Float[Tensor, "2 ways n"]:
    """Return losses and divergences of one context's predictions, as it is and in each way."""
    batch = model.read([ids])
    prefix = Prefix.below(model, batch, ways)
    targets = batch.ids[0, 1:, None]
    plain = _log_probs(prefix, [])
    losses, moved = [-plain.gather(-1, targets)[:, 0]], [torch.zeros(len(targets), device=plain.device)]
    for edits in ways:
        other = _log_probs(prefix, edits)
        losses.append(-other.gather(-1, targets)[:, 0])
        moved.append((plain.exp() * (plain - other)).sum(-1))
    return torch.stack([torch.stack(losses), torch.stack(moved)])


def _log_probs(prefix: Prefix, edits: Sequence[Edit]) -> Float[Tensor, "n d_vocab"]:
    return prefix.logits(edits)[0, :-1].float().log_softmax(-1)


def _kept_positions(store: ActivationStore, contexts: Sequence[int]) -> dict[int, Bool[Tensor, " length"]]:
    """Return for each context at which positions the harvest kept a row."""
    of_rows, positions = store.contexts(), store.positions()
    found = {}
    for context in contexts:
        first, stop = torch.searchsorted(of_rows, torch.tensor([context, context + 1])).tolist()
        kept = torch.zeros(len(store.context(context).tokens), dtype=torch.bool)
        kept[positions[first:stop]] = True
        found[context] = kept
    return found
