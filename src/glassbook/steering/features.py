"""Steering by features: some features of a dictionary are given other values, and the stream moves by what they write.

A feature of value f that is given the value v moves the stream by (v - f) W_dec[feature], no more and no less: what the
dictionary misses of an activation stays as it is (Templeton et al. 2024, Scaling Monosemanticity). All features of one steering
are read from the stream as it comes, so that a set moves it by the sum of what its features do one by one.

Where a harvest left out the first token, an attention sink, its dictionary's features mean nothing there: clamping one would take
thousands from the stream. So they are left alone at position 0, unless positions are given by index.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span
from glassbook.features.belonging import check_belongs, policy_of, trained_on
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.splicing import SiteOrPair, edits_between, places_of
from glassbook.models.model import Model
from glassbook.steering.operators import Positions, acts_on, check_choice
from glassbook.steering.vectors import SteeringVector

FeatureOperator = Literal["add", "clamp", "ablate", "scale"]

FEATURE_OPERATORS: dict[str, str] = {
    "add": "f + amount, whether the feature is active or not",
    "clamp": "amount, whatever f is",
    "ablate": "f - amount * f: at 1 the feature is gone",
    "scale": "f + amount * f: what is inactive stays so",
}
"""What each operator makes of the value f of a feature. Adding and scaling by 0 changes no bit; clamping to 0 is ablation."""


@dataclass(frozen=True, slots=True)
class FeatureEdit:
    """What is done to one feature, in units of its value."""

    feature: int
    operator: FeatureOperator
    amount: float

    def __post_init__(self) -> None:
        if self.operator not in FEATURE_OPERATORS:
            raise DictionaryError(
                f"there is no operator '{self.operator}' for features; choose one of {', '.join(FEATURE_OPERATORS)}"
            )
        if not math.isfinite(self.amount):
            raise DictionaryError(f"feature {self.feature} cannot be changed by {self.amount}; give a finite number")

    @property
    def reads(self) -> bool:
        """Return whether what is done depends on the value that the feature has."""
        return self.operator != "add"

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is done."""
        return self.operator != "clamp" and self.amount == 0

    def moved(self, value: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return by how much values of the feature change."""
        if self.operator == "clamp":
            return self.amount - value
        return value * (self.amount if self.operator == "scale" else -self.amount)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureSteering:
    """Features of one dictionary under edits of their own; give it to a model as `steer=`.

    `sites` are where the dictionary reads and where it writes. `rows` has for each edit the direction that it writes along; None
    means the feature's own. `force` allows a model of another lineage.
    """

    dictionary: Dictionary
    edits: tuple[FeatureEdit, ...]
    sites: tuple[Site, Site]
    positions: Positions = "all"
    rows: Float[Tensor, "n_edits d_out"] | None = None
    force: bool = False

    def __post_init__(self) -> None:
        check_choice("add", self.positions)
        if self.positions == "front":
            raise DictionaryError("a feature has no front rows; choose its positions by index, such as (0, 1)")
        if not self.edits:
            raise DictionaryError("no feature is given, so nothing can be steered; give at least one")
        check_features(self.dictionary, [edit.feature for edit in self.edits])

    def __repr__(self) -> str:
        done = ", ".join(f"{edit.operator} F{edit.feature} by {edit.amount:g}" for edit in self.edits)
        return f"<features at {self.sites[1]}: {done}, at {self.positions}>"

    @property
    def needs_bos(self) -> bool:
        """Return False: features can be steered in any prompt."""
        return False

    @property
    def spares_start(self) -> bool:
        """Return whether the first token is left alone, of which training knows nothing."""
        policy = policy_of(self.dictionary)
        return policy is not None and policy.drop_start and isinstance(self.positions, str)

    @property
    def written(self) -> Float[Tensor, "n_edits d_out"]:
        """Return the direction along which each edit writes."""
        if self.rows is not None:
            return self.rows
        return self.dictionary.W_dec[[edit.feature for edit in self.edits]].detach()

    def with_positions(self, positions: Positions) -> "FeatureSteering":
        """Return the same steering at other tokens."""
        return replace(self, positions=positions)

    def along(self, rows: Float[Tensor, "n_edits d_out"]) -> "FeatureSteering":
        """Return the same changes, written along other directions; raise DictionaryError for directions of another shape."""
        if rows.shape != self.written.shape:
            raise DictionaryError(
                f"{len(self.edits)} features write {self.dictionary.d_out} numbers each; "
                f"give directions of that shape, not {tuple(rows.shape)}"
            )
        return replace(self, rows=rows)

    def __add__(self, other: "FeatureSteering") -> "FeatureSteering":
        mine, theirs = ((one.dictionary, one.sites, one.positions) for one in (self, other))
        if mine[0] is not theirs[0] or mine[1:] != theirs[1:]:
            raise DictionaryError(
                f"{self!r} and {other!r} are not of one dictionary at the same tokens; give both to steer=[...] instead"
            )
        is_own = self.rows is None and other.rows is None
        rows = None if is_own else torch.cat([self.written, other.written])
        return replace(self, edits=self.edits + other.edits, rows=rows, force=self.force or other.force)

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits for a model; raise DictionaryError where widths or weights do not fit."""
        return _edits(model, [(self, None)])

    def touches(self, span: Span) -> Bool[Tensor, "batch pos"]:
        """Return at which tokens of a pass it acts."""
        touched = acts_on(self.positions, span, 0)
        return touched & (span.positions > 0) if self.spares_start else touched

    def moved(self, features: Float[Tensor, "batch pos n_features"] | None, span: Span) -> Tensor:
        """Return what is added to the stream where it acts; `features` may be missing where no edit reads them."""
        amounts = []
        for edit in self.edits:
            if edit.reads:
                assert features is not None, "features are read wherever an edit reads them"
                amounts.append(edit.moved(features[..., edit.feature]))
            else:
                amounts.append(torch.full(span.positions.shape, edit.amount, device=span.positions.device))
        written = self.written.to(span.positions.device)
        # Rounded once, where it is added: in half precision the amounts and the product would each lose digits first.
        wide = torch.promote_types(written.dtype, torch.float32)
        return torch.stack(amounts, -1).to(wide) @ written.to(wide)


@dataclass(frozen=True, slots=True)
class FeaturesPerRow:
    """Steering by features that differs from row to row of one batch; None leaves a row unsteered."""

    steerings: Sequence[FeatureSteering | None]

    @property
    def n_rows(self) -> int:
        """Return how many prompts it is for."""
        return len(self.steerings)

    @property
    def needs_bos(self) -> bool:
        """Return False: features can be steered in any prompt."""
        return False

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits for a model; raise DictionaryError where one of the steerings does not fit."""
        found: dict[int, tuple[FeatureSteering, list[int]]] = {}
        for row, one in enumerate(self.steerings):
            if one is not None:
                found.setdefault(id(one), (one, []))[1].append(row)
        groups: dict[tuple[int, tuple[Site, Site]], list[tuple[FeatureSteering, list[int] | None]]] = {}
        for one, rows in found.values():
            groups.setdefault((id(one.dictionary), one.sites), []).append((one, rows))
        return [edit for group in groups.values() for edit in _edits(model, group)]


def add_features(dictionary: Dictionary, amounts: Mapping[int, float], **how: object) -> FeatureSteering:
    """Return the steering that adds to features: `add_features(words, {1234: 8.0})`; `how` as in `steer_features`."""
    return steer_features(dictionary, [FeatureEdit(n, "add", amount) for n, amount in amounts.items()], **how)  # type: ignore[arg-type]


def clamp_features(dictionary: Dictionary, values: Mapping[int, float], **how: object) -> FeatureSteering:
    """Return the steering that gives features fixed values at every token it touches; `how` as in `steer_features`."""
    return steer_features(dictionary, [FeatureEdit(n, "clamp", value) for n, value in values.items()], **how)  # type: ignore[arg-type]


def ablate_features(dictionary: Dictionary, features: Iterable[int], **how: object) -> FeatureSteering:
    """Return the steering that takes features away wherever they are active; `how` as in `steer_features`."""
    return steer_features(dictionary, [FeatureEdit(n, "ablate", 1.0) for n in features], **how)  # type: ignore[arg-type]


def steer_features(
    dictionary: Dictionary,
    edits: Iterable[FeatureEdit],
    *,
    positions: Positions = "all",
    site: SiteOrPair | None = None,
    force: bool = False,
) -> FeatureSteering:
    """Return steering by any edits of features, at `site` or else where the dictionary was trained (two Sites: a transcoder).

    Raises DictionaryError for features that the dictionary does not have, and InputError where no Site is known.
    """
    sites = places_of(dictionary, site)
    return FeatureSteering(dictionary=dictionary, edits=tuple(edits), sites=sites, positions=positions, force=force)


def feature_vector(dictionary: Dictionary, feature: int, site: SiteOrPair | None = None) -> SteeringVector:
    """Return the direction of a feature as a steering vector: at strength s it adds s to the feature's value, as far as it goes.

    Raises DictionaryError for a feature that the dictionary does not have, VectorError where it writes to several heads at once.
    """
    check_features(dictionary, [feature])
    written = places_of(dictionary, site)[1]
    if len(written.kind.axes) == 4 and written.head is None:
        raise VectorError(
            f"a feature at {written} writes to all heads at once and so is no one vector; add to it by add_features"
        )
    made = {"recipe": "feature", "feature": feature, "kind": dictionary.kind, "n_features": dictionary.n_features}
    values = dictionary.W_dec[feature].detach().float().cpu().clone()
    return SteeringVector(site=written, values=values, identity=trained_on(dictionary), made=made)


def check_features(dictionary: Dictionary, features: Sequence[int]) -> None:
    """Raise DictionaryError for a feature that the dictionary does not have, or one that is given twice."""
    last = dictionary.n_features - 1
    for feature in features:
        if isinstance(feature, bool) or not isinstance(feature, int) or not 0 <= feature <= last:
            raise DictionaryError(f"this dictionary has no feature {feature}; its features run from 0 to {last:,}")
        if features.count(feature) > 1:
            raise DictionaryError(f"feature {feature} is given twice; say once what is done to it")


def _edits(model: Model, acting: Sequence[tuple[FeatureSteering, list[int] | None]]) -> list[Edit]:
    """Return the edits of steerings of one dictionary at the same Sites, each for some rows of the request or for all."""
    first = acting[0][0]
    check_belongs(first.dictionary, model.identity, any(one.force for one, _ in acting))
    moving = [(one, rows) for one, rows in acting if not all(edit.is_idle for edit in one.edits)]
    reads = any(edit.reads for one, _ in moving for edit in one.edits)
    if not moving:
        return []

    def where(span: Span) -> Bool[Tensor, "batch pos"]:
        return torch.stack([_touches(one, rows, span) for one, rows in moving]).any(0)

    def replacing(read: Tensor, value: Tensor, span: Span) -> Tensor:
        features = first.dictionary.encode(read) if reads else None
        for one, rows in moving:
            touched = _touches(one, rows, span)[..., None]
            value = torch.where(touched, value + one.moved(features, span), value)
        return value

    return edits_between(model, first.dictionary, first.sites, replacing, where)


def _touches(one: FeatureSteering, rows: list[int] | None, span: Span) -> Bool[Tensor, "batch pos"]:
    touched = one.touches(span)
    if rows is None:
        return touched
    return touched & torch.isin(span.rows, torch.tensor(rows, device=span.rows.device))[:, None]
