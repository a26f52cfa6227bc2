"""A steering vector: a direction at a Site, how it acts, and which weights it was made on."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit
from glassbook.models.identity import Identity
from glassbook.models.model import Model
from glassbook.steering.operators import (
    NEED_A_WAY,
    NEED_MANY_AXES,
    SUMMABLE,
    Operator,
    Positions,
    Push,
    check_choice,
    stacked,
)


class LineageWarning(UserWarning):
    """A vector is used on another precision or quantization of the model it was made on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteeringVector:
    """`values` is one direction, `[width]`, or one for each front token, `[front width]`; `4 * vector` scales the strength.

    At positions other than the front, row i acts on token i and the last row on every token beyond. A single neuron's vector
    has width 1. `made` says how it was made; `force` allows weights of another lineage and is written into the run.
    """

    site: Site
    values: Float[Tensor, "*front width"]
    identity: Identity
    operator: Operator = "add"
    positions: Positions = "all"
    strength: float = 1.0
    needs_bos: bool = False
    force: bool = False
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice(self.operator, self.positions)
        if not torch.isfinite(self.values).all():
            raise VectorError(
                f"the vector for {self.site} holds NaN or infinite numbers; make it again from finite activations"
            )
        if not math.isfinite(self.strength):
            raise VectorError(f"strength {self.strength} cannot be used for {self.site}; give a finite number")
        if self.values.ndim not in (1, 2) or self.values.numel() == 0:
            shape = tuple(self.values.shape)
            raise VectorError(f"the vector for {self.site} has shape {shape}; give [width], or [front width]")
        if self.operator in NEED_A_WAY and not self.values.any():
            raise VectorError(
                f"the vector for {self.site} is zero and points nowhere, so it cannot {self.operator}; make another"
            )
        if self.operator in NEED_MANY_AXES and self.values.shape[-1] == 1:
            raise VectorError(
                f"'{self.operator}' means nothing at {self.site}, which holds a single number; add, ablate, clamp or scale it"
            )

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.values.shape))
        acts = f"{self.operator} at {self.positions}"
        return f"<vector at {self.site}: {self.strength:g} x [{shape}], {acts}, norm {self.norm:.3g}>"

    @property
    def norm(self) -> float:
        """Return the Euclidean length of what strength 1 adds; over front tokens, the longest."""
        return float(self.table.norm(dim=-1).max())

    @property
    def unit(self) -> "SteeringVector":
        """Return the vector at norm 1; its strength stays."""
        return self.scaled_to(1.0)

    def scaled_to(self, norm: float) -> "SteeringVector":
        """Return the vector with its values scaled to a norm, front rows in proportion; its strength stays.

        Raises VectorError for a vector of zeros, and for a norm that is not above 0.
        """
        if not 0 < norm < math.inf:
            raise VectorError(f"a vector cannot be scaled to the norm {norm}; give a finite number above 0")
        self._check_points("scaled")
        return replace(self, values=self.values * (norm / self.norm))

    def cosine(self, other: "SteeringVector") -> float:
        """Return the cosine between what two vectors of one width stand for, signs of their strengths included.

        Front rows are laid end to end. Raises VectorError for another width, and where one of them is zero.
        """
        self._check_width(other)
        sides = [math.copysign(1.0, one.strength) * one.table.double().cpu() for one in (self, other)]
        mine, theirs = stacked(sides, "front").flatten(1)
        for one in (self, other):
            one._check_points("compared")
        return float(mine @ theirs / (mine.norm() * theirs.norm()))

    def without(self, other: "SteeringVector") -> "SteeringVector":
        """Return the vector less what lies along `other`, a single direction: v - (v . u) u, row by row.

        Raises VectorError for another width, for a vector of several front rows, and where nothing is left.
        """
        self._check_width(other)
        other._check_points("taken out")
        if len(other.table) != 1:
            raise VectorError(f"{other!r} has {len(other.table)} rows and so no one direction; take out one of them")
        whole, unit = self.values.double().cpu(), other.table[0].double().cpu()
        unit = unit / unit.norm()
        left = whole - (whole @ unit)[..., None] * unit
        if left.norm() <= 1e-6 * whole.norm():
            raise VectorError(f"nothing of {self!r} is left without {other!r}, since they lie along each other")
        made = {"without": [dict(self.made), dict(other.made)]}
        return replace(self, values=left.to(self.values), made=made)

    def _check_width(self, other: "SteeringVector") -> None:
        if self.values.shape[-1] != other.values.shape[-1]:
            raise VectorError(f"{self!r} and {other!r} have different widths, so they have no angle between them")

    def _check_points(self, what: str) -> None:
        if not self.values.any():
            raise VectorError(f"{self!r} is zero and points nowhere, so it cannot be {what}; make another")

    @property
    def table(self) -> Float[Tensor, "front width"]:
        """Return the values with their front axis."""
        return self.values.reshape(-1, self.values.shape[-1])

    def with_(self, **changes: Any) -> "SteeringVector":
        """Return the vector with some fields changed, e.g. `vector.with_(positions="generated")`."""
        return replace(self, **changes)

    def __mul__(self, factor: float) -> "SteeringVector":
        return replace(self, strength=self.strength * factor)

    __rmul__ = __mul__

    def __neg__(self) -> "SteeringVector":
        return self * -1.0

    def __add__(self, other: "SteeringVector") -> "SteeringVector":
        mine, theirs = ((v.site, v.operator, v.positions, v.identity.lineage, v.table.shape[1]) for v in (self, other))
        if mine != theirs or self.operator not in SUMMABLE:
            raise VectorError(f"{self!r} and {other!r} cannot be summed; give both to steer=[...] instead")
        values = stacked([self.strength * self.table, other.strength * other.table], self.positions).sum(0)
        is_flat = self.values.ndim == other.values.ndim == 1
        bos = self.needs_bos or other.needs_bos
        made = {"sum": [dict(self.made), dict(other.made)]}
        return replace(self, values=values[0] if is_flat else values, strength=1.0, needs_bos=bos, made=made)

    def __sub__(self, other: "SteeringVector") -> "SteeringVector":
        return self + -other

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits for `model`: none at strength 0; raise VectorError where width or weights do not fit."""
        return edits_per_row([[self]], model)

    def check_fits(self, model: Model) -> None:
        """Raise VectorError for another width or lineage; warn for another precision or quantization of the same model."""
        width = 1 if self.site.neuron is not None else model.config.sizes.get(self.site.kind.width, 0)
        if self.values.shape[-1] != width:
            raise VectorError(
                f"the vector has width {self.values.shape[-1]} and {self.site} of {model.identity.name} has width {width}; "
                f"make the vector on this model"
            )
        ours, theirs = self.identity, model.identity
        if self.force or not ours.lineage or ours.fingerprint == theirs.fingerprint:
            return
        if ours.lineage != theirs.lineage:
            raise VectorError(
                f"the vector was made on {ours.label} and this model is {theirs.label}, which is not the same model; "
                f"make it on this one, or use vector.with_(force=True)"
            )
        warnings.warn(
            f"the vector was made on {ours.label} ({ours.dtype}) and is used on {theirs.label} ({theirs.dtype})",
            LineageWarning,
            stacklevel=4,
        )


def edits_per_row(rows: Sequence[Sequence[SteeringVector]], model: Model) -> list[Edit]:
    """Return the edits that steer row i of a request by the vectors `rows[i]`, at Sites, strengths and operators of its own.

    A single row steers every row of the request; an empty one leaves its row alone.
    """
    groups: dict[tuple[Site, Operator, Positions], None] = {}
    for vector in (vector for row in rows for vector in row):
        vector.check_fits(model)
        if vector.strength != 0:
            groups[vector.site, vector.operator, vector.positions] = None
    return [_edit(key, rows, model) for key in groups]


def _edit(key: tuple[Site, Operator, Positions], rows: Sequence[Sequence[SteeringVector]], model: Model) -> Edit:
    site, operator, positions = key
    mine = [next((v for v in row if (v.site, v.operator, v.positions) == key), None) for row in rows]
    width = next(v for v in mine if v is not None).values.shape[-1]
    tables = [torch.zeros(1, width) if v is None else v.table.float().cpu() for v in mine]
    strengths = torch.tensor([0.0 if v is None else v.strength for v in mine])
    wide = torch.promote_types(model.dtype, torch.float32)
    push = Push(
        operator, positions, stacked(tables, positions).to(model.device, wide), strengths.to(model.device, wide)
    )
    return Edit(site, push, push.touches)
