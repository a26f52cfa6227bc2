"""What steering does to a value: the operators, at the positions they act on, for one vector or a different one per row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.core.errors import VectorError
from glassbook.core.taps import Span

Operator = Literal["add", "ablate"]
Positions = Literal["all", "prompt", "generated", "front"] | tuple[int, ...]

OPERATORS: dict[str, str] = {
    "add": "h + strength * v",
    "ablate": "h - strength * (h . u) u, with u the unit vector of v (directional ablation, 2406.11717)",
}
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
        steered = (self.strengths != 0)[self._rows(span)]
        return acts_on(self.positions, span, self.table.shape[1]) & steered[:, None]

    def __call__(self, value: Float[Tensor, "batch pos *width"], span: Span) -> Float[Tensor, "batch pos *width"]:
        """Return the value with the touched tokens changed."""
        rows = self._rows(span)
        place = span.positions.clamp(max=self.table.shape[1] - 1)
        vectors = _fitted(self.table[rows[:, None], place], value)
        strengths = _fitted(self.strengths[rows][:, None, None], value)
        if self.operator == "add":
            changed = value + strengths * vectors
        else:
            unit = vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
            changed = value - strengths * (value * unit).sum(-1, keepdim=True) * unit
        return torch.where(_fitted(self.touches(span)[..., None], value), changed, value)

    def _rows(self, span: Span) -> Tensor:
        return span.rows if len(self.strengths) > 1 else torch.zeros_like(span.rows)


def _fitted(x: Float[Tensor, "batch pos width"], value: Tensor) -> Tensor:
    """Return `x` with the axes that `value` has between position and width (heads), or without width (one neuron)."""
    if value.ndim == 2:
        return x.squeeze(-1)
    return x[:, :, None] if value.ndim == 4 else x


def stacked(vectors: Sequence[Float[Tensor, "front width"]]) -> Float[Tensor, "rows front width"]:
    """Return vectors of unequal front length as one table, zeros where a vector has ended."""
    longest = max(len(vector) for vector in vectors)
    return torch.stack([torch.nn.functional.pad(vector, (0, 0, 0, longest - len(vector))) for vector in vectors])
