"""What steering does to a value: the operators, at the positions they act on, for one vector or a different one per row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from glassbook.core.errors import VectorError
from glassbook.core.taps import Span

Operator = Literal["add", "ablate", "clamp", "scale", "project", "norm-preserving"]
Positions = Literal["all", "prompt", "generated", "front"] | tuple[int, ...]

OPERATORS: dict[str, str] = {
    "add": "h + strength * v",
    "ablate": "h - strength * (h . u) u, with u the unit vector of v (directional ablation, 2406.11717)",
    "clamp": "h + (strength * |v| - h . u) u: what lies along v becomes strength * |v|; a single neuron, strength * v",
    "scale": "h + strength * (h . u) u: what lies along v becomes 1 + strength times itself",
    "project": "h + strength * ((h . u) u - h): at strength 1 only what lies along v is left",
    "norm-preserving": "(h + strength * v) |h| / |h + strength * v|: the way points towards v, the length stays (repeng)",
}
"""What each operator makes of a value h. Strength 0 changes no bit under any of them; to clamp to nothing, ablate."""

NEED_A_WAY = ("ablate", "clamp", "scale", "project")
"""The operators that take only the unit vector from a vector's values, which zeros do not have."""

NEED_MANY_AXES = ("project", "norm-preserving")
"""The operators that do nothing sensible to a single number: it is its own projection, and its norm but for the sign."""

SUMMABLE = ("add", "norm-preserving")
"""The operators under which the sum of two vectors is a vector."""

POSITIONS: dict[str, str] = {
    "all": "every token",
    "prompt": "the tokens of the prompt",
    "generated": "the tokens generated after it",
    "front": "the first tokens of the prompt, one row of the vector each, on the first pass only (ActAdd, 2308.10248)",
}


def check_choice(operator: str, positions: Positions) -> None:
    """Raise VectorError for an operator or positions that do not exist."""
    if operator not in OPERATORS:
        raise VectorError(f"there is no operator '{operator}'; choose one of {', '.join(OPERATORS)}")
    if isinstance(positions, str) and positions not in POSITIONS:
        raise VectorError(
            f"there are no positions '{positions}'; choose one of {', '.join(POSITIONS)}, or give indices"
        )
    if not isinstance(positions, str) and not _are_indices(positions):
        raise VectorError(
            f"positions = {positions!r} cannot be used; give indices as a tuple of whole numbers from 0, e.g. (0, 3)"
        )


def _are_indices(positions: Any) -> bool:
    return isinstance(positions, tuple) and len(positions) > 0 and all(isinstance(i, int) and i >= 0 for i in positions)


def acts_on(positions: Positions, span: Span, n_front: int) -> Bool[Tensor, "batch pos"]:
    """Return which tokens of a pass are touched."""
    if positions == "prompt":
        return span.is_prompt
    if positions == "generated":
        return span.is_generated
    if positions == "front":
        return span.is_prompt & (span.positions < n_front)
    if positions == "all":
        return span.is_real
    wanted = torch.tensor(positions, device=span.positions.device)
    return span.is_real & torch.isin(span.positions, wanted)


@dataclass(frozen=True, slots=True)
class Push:
    """The change that steering makes at one Site: `table` holds a vector per row of the request, or one for all rows.

    Tokens that are not touched keep their bits. Rows whose `strength` is 0 are not touched at all.
    """

    operator: Operator
    positions: Positions
    table: Float[Tensor, "rows front width"]
    strengths: Float[Tensor, " rows"]

    def touches(self, span: Span) -> Bool[Tensor, "batch pos"]:
        """Return which tokens of a pass change."""
        moves = (self.table != 0).any(-1) & (self.strengths != 0)[:, None]
        return acts_on(self.positions, span, self.table.shape[1]) & moves[self._rows(span)[:, None], self._place(span)]

    def __call__(self, value: Float[Tensor, "batch pos *width"], span: Span) -> Float[Tensor, "batch pos *width"]:
        """Return the value with the touched tokens changed."""
        rows = self._rows(span)
        # A single neuron's value has no axis to run along, so it is given one of length 1.
        wide = value.unsqueeze(-1) if value.ndim == 2 else value
        # At least in float32, and rounded once: in bfloat16 the strength and the vector would each lose digits first.
        wide = wide.to(torch.promote_types(value.dtype, torch.float32))
        vectors = _fitted(self.table[rows[:, None], self._place(span)], wide)
        strengths = _fitted(self.strengths[rows][:, None, None], wide)
        changed = _CHANGES[self.operator](wide, vectors, strengths)
        touched = _fitted(self.touches(span)[..., None], wide)
        return torch.where(touched, changed, wide).to(value.dtype).reshape(value.shape)

    def _place(self, span: Span) -> Int[Tensor, "batch pos"]:
        return span.positions.clamp(max=self.table.shape[1] - 1)

    def _rows(self, span: Span) -> Int[Tensor, " batch"]:
        n = len(self.strengths)
        if n == 1:
            return torch.zeros_like(span.rows)
        last = int(span.rows.max())
        if last >= n:
            raise VectorError(f"row {last} of the batch has no vector; give one vector (or None) for each prompt")
        return span.rows


Values = Float[Tensor, "..."]
Strengths = Float[Tensor, "..."]


# What follows broadcasts: a vector may stand for a batch, a strength for a vector.


def _unit(vectors: Values) -> Values:
    return vectors / _length(vectors)


def _length(vectors: Values) -> Values:
    return vectors.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)


def _along(values: Values, unit: Values) -> Values:
    return (values * unit).sum(-1, keepdim=True)


def _add(values: Values, vectors: Values, strengths: Strengths) -> Values:
    return values + strengths * vectors


def _ablate(values: Values, vectors: Values, strengths: Strengths) -> Values:
    unit = _unit(vectors)
    return values - strengths * _along(values, unit) * unit


def _clamp(values: Values, vectors: Values, strengths: Strengths) -> Values:
    unit = _unit(vectors)
    return values + (strengths * vectors.norm(dim=-1, keepdim=True) - _along(values, unit)) * unit


def _scale(values: Values, vectors: Values, strengths: Strengths) -> Values:
    unit = _unit(vectors)
    return values + strengths * _along(values, unit) * unit


def _project(values: Values, vectors: Values, strengths: Strengths) -> Values:
    unit = _unit(vectors)
    return values + strengths * (_along(values, unit) * unit - values)


def _keep_norm(values: Values, vectors: Values, strengths: Strengths) -> Values:
    moved = values + strengths * vectors
    return moved / _length(moved) * values.norm(dim=-1, keepdim=True)


_CHANGES: dict[str, Callable[[Values, Values, Strengths], Values]] = {
    "add": _add,
    "ablate": _ablate,
    "clamp": _clamp,
    "scale": _scale,
    "project": _project,
    "norm-preserving": _keep_norm,
}


def _fitted(x: Shaped[Tensor, "batch one_or_pos width"], value: Tensor) -> Shaped[Tensor, "batch one_or_pos *width"]:
    """Return `x` with the axis of heads that `value` may have between position and width."""
    return x[:, :, None] if value.ndim == 4 else x


def stacked(vectors: Sequence[Float[Tensor, "_ width"]], positions: Positions) -> Float[Tensor, "rows front width"]:
    """Return vectors of unequal front length as one table.

    Row i stands for token i. At the front a vector that has ended does nothing; at other positions its last row holds for
    every token beyond.
    """
    longest = max(len(vector) for vector in vectors)
    goes_on = 0.0 if positions == "front" else 1.0
    return torch.stack([torch.cat((v, goes_on * v[-1:].expand(longest - len(v), -1))) for v in vectors])
