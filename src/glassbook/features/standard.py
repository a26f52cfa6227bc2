"""The standard dictionary: a ReLU under an L1 penalty.

    f = ReLU(x W_enc + b_enc),   loss = |x - (f W_dec + b_dec)|^2 + lambda sqrt(d_out) sum_i f_i |W_dec_i|
The directions are free and the penalty is weighed by their norms (`weighted`; Anthropic, April 2024 update; Templeton et al.
2024), or held at norm 1 (`unit`; Bricken et al. 2023; Cunningham et al. 2023, 2309.08600). Since inputs have norms of about
sqrt(d_out), one lambda means the same at every width.
"""

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step

Norms = Literal["weighted", "unit"]


@DICTIONARIES.add("standard")
class Standard(Dictionary):
    """Whatever is above 0; an L1 penalty keeps it rare, and shrinks it."""

    kind = "standard"
    penalty = 0.08

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None, *, norms: Norms = "weighted") -> None:
        super().__init__(d_in, n_features, d_out)
        if norms not in ("weighted", "unit"):
            raise DictionaryError(f"norms = '{norms}' is unknown; choose weighted or unit")
        self.norms = norms
        self.has_unit_rows = norms == "unit"

    @property
    def settings(self) -> dict[str, Any]:
        return {"norms": self.norms}

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return what is above 0."""
        return pre.relu()

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        active = self.encoding(x, step).above(0.0)
        values = active.values
        weighed = active.weighed(values, self.decoder.norm(dim=-1)) if self.norms == "weighted" else values.sum()
        return self.learned(active, values, target, step.sparsity * self.d_out**0.5 * weighed)
