"""What features add to a measure, exactly: each is ablated at every token, and the gradient's scores are held against that."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.circuits.attribution import Attribution, at_seen
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.core.taps import Span
from glassbook.features.splicing import Splice
from glassbook.files.hashes import Progress

ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Compared:
    """One feature: what the gradient says that it adds to the measure, and what ablating it takes away."""

    feature: int
    score: float
    exact: float

    @property
    def miss(self) -> float:
        """Return by how much the gradient is wrong."""
        return self.score - self.exact


@dataclass(frozen=True, slots=True)
class Agreement:
    """The gradient's scores beside exact ablation: the features with the largest scores, and others drawn among the rest.

    What the gradient overlooks can only show among the others.
    """

    largest: tuple[Compared, ...]
    others: tuple[Compared, ...]

    @property
    def rows(self) -> tuple[Compared, ...]:
        """Return all that were compared."""
        return self.largest + self.others

    @property
    def correlation(self) -> float:
        """Return Pearson's correlation of scores and exact effects; NaN where either does not vary."""
        return correlation([one.score for one in self.rows], [one.exact for one in self.rows])

    @property
    def worst(self) -> Compared | None:
        """Return the feature at which the two lie furthest apart; None where nothing was compared."""
        return max(self.rows, key=lambda one: abs(one.miss), default=None)

    @property
    def same_sign(self) -> float:
        """Return the share of features at which both have the same sign; NaN where nothing was compared."""
        rows = self.rows
        return (
            sum(one.score * one.exact > 0 or one.score == one.exact for one in rows) / len(rows) if rows else math.nan
        )

    def say(self) -> str:
        """Return in words how well the gradient does."""
        if self.worst is None:
            return "No feature is active, so nothing can be attributed to one."
        return (
            f"Over {len(self.rows)} features (the {len(self.largest)} with the largest scores and {len(self.others)} drawn "
            f"among the rest) the gradient's scores correlate with exact ablation at r = {self.correlation:.3f}, "
            f"{self.same_sign:.0%} of them with its sign; furthest apart is feature {self.worst.feature}, "
            f"{self.worst.score:+.3g} said and {self.worst.exact:+.3g} measured."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every number as plain data."""
        worst = None if self.worst is None else asdict(self.worst)
        sides = {name: [asdict(one) for one in getattr(self, name)] for name in ("largest", "others")}
        return sides | {
            "correlation": self.correlation,
            "same_sign": self.same_sign,
            "worst": worst,
            "sentence": self.say(),
        }


def check_attribution(
    attribution: Attribution, n: int = 20, n_others: int = 20, *, seed: int = 0, progress: Progress | None = None
) -> Agreement:
    """Return the scores of the `n` features with the largest, and of others drawn with a seed, beside their exact ablation."""
    if n < 1 or n_others < 0:
        raise InputError(f"{n} features and {n_others} others cannot be compared; give at least 1 and 0")
    totals = attribution.totals
    rest = totals[n:]
    order = torch.randperm(len(rest), generator=generator(seed, "other features"))[:n_others].tolist()
    chosen = [*totals[:n], *(rest[i] for i in sorted(order))]
    exact = ablate_each(attribution, [one.feature for one in chosen], progress)
    rows = [Compared(one.feature, one.score, effect) for one, effect in zip(chosen, exact, strict=True)]
    return Agreement(tuple(rows[:n]), tuple(rows[n:]))


@torch.inference_mode()
def ablate_each(attribution: Attribution, features: Sequence[int], progress: Progress | None = None) -> list[float]:
    """Return what each feature adds to the measure: with it, less without it at every token of the text."""
    one = attribution
    prefix = Prefix.below(one.model, one.prompt, [_without(one, []).edits_for(one.model)])
    # The measure with every feature is read from rows of the same shape, so that both round alike.
    plain = _measures(one, prefix, [])[0]
    found: list[float] = []
    for first in range(0, len(features), ROWS_AT_ONCE):
        part = list(features[first : first + ROWS_AT_ONCE])
        found += (plain - _measures(one, prefix, part))[: len(part)].tolist()
        if progress is not None:
            progress("exact ablation", len(found), len(features))
    return found


def _measures(attribution: Attribution, prefix: Prefix, missing: list[int]) -> Float[Tensor, " batch"]:
    """Return the measure of copies of the text, of which each lacks one feature as long as there are any."""
    edits = _without(attribution, missing).edits_for(attribution.model) if missing else []
    # Beyond the blocks an edit sees only what is read, and would take its tokens for others.
    read_at = None if attribution.sites[1].layer is None else [attribution.prompt.lengths[0] - 1] * ROWS_AT_ONCE
    return attribution.question.measure(prefix.repeated(ROWS_AT_ONCE).logits(edits, read_at)[:, -1])


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Pearson's correlation of two rows of numbers; NaN where either does not vary."""
    sides = torch.tensor([list(one), list(other)], dtype=torch.float64)
    if sides.shape[1] < 2:
        return math.nan
    return float(torch.corrcoef(sides)[0, 1])


def _without(attribution: Attribution, features: list[int]) -> Splice:
    """Return the splice in which row i of a batch lacks feature i; rows beyond lack none."""
    read, written = attribution.sites
    missing = torch.tensor(features, dtype=torch.long, device=attribution.model.device)

    def change(values: Tensor, span: Span) -> Tensor:
        changed = values.clone()
        rows = torch.arange(len(missing), device=values.device)
        changed[rows, :, missing] = 0
        return changed

    where = at_seen(attribution.unseen)
    return Splice(dictionary=attribution.dictionary, read=read, written=written, change=change, where=where)
