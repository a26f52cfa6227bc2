"""What a sweep is asked for, beside the pairs, the grid and the effect."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassbook.core.errors import InputError
from glassbook.steering.operators import Operator, Positions
from glassbook.steering.vector_set import Vectors
from glassbook.tasks.contrast import ChoiceItem, ChoiceSet, ContrastSet

Pairs = str | Path | ContrastSet | tuple[Sequence[str], Sequence[str]] | Vectors
Items = str | Path | ChoiceSet | Sequence[ChoiceItem] | Sequence[str]
Judge = Callable[[str], float]
Progress = Callable[[str, int, int], None]

FEWEST_RANDOMS = 19
"""With fewer random directions even the best rank has a chance above 1 in 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that shapes a sweep's numbers beside pairs, grid and effect.

    `direction` names how texts become a vector, at `site` of each layer; `operator` and `positions` None leave a vector its
    own. `together` lets all vectors of a set act at once, as one row of the grid. `items` None takes the choices that go
    with the pairs by name; at most `n_items` of them and `n_pairs` pairs are drawn. `instruction` None takes the choices'
    own. The cost is measured on `n_windows` windows of `window` tokens of `text`, half of them for the choice. `prompts`,
    by default some held-out items', are completed in stage 2 with `n_tokens` tokens each.
    """

    direction: str = "mean-difference"
    site: str = "resid_post"
    operator: Operator | None = None
    positions: Positions | None = None
    together: bool = False
    items: Items | None = None
    n_items: int = 64
    n_pairs: int = 128
    instruction: str | None = None
    text: str | Sequence[str] = "alice"
    n_windows: int = 16
    window: int = 64
    prompts: Sequence[str] = ()
    n_tokens: int = 24
    budget: float = 1.1
    n_random: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.budget) or self.budget <= 0:
            raise InputError(f"a budget of {self.budget} cannot be kept; give a perplexity ratio such as 1.1")
        if self.n_random < FEWEST_RANDOMS:
            raise InputError(
                f"{self.n_random} random directions cannot tell an effect from chance; give at least {FEWEST_RANDOMS}"
            )
        for name, least in (("n_items", 4), ("n_pairs", 1), ("n_windows", 2), ("window", 2), ("n_tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} = {getattr(self, name)} cannot be used; it must be at least {least}")

    def to_dict(self) -> dict[str, Any]:
        """Return every setting as plain data; texts and items that were given are told by their number."""
        said = {name: getattr(self, name) for name in self.__slots__}
        for name in ("items", "text", "prompts"):
            value = said[name]
            if isinstance(value, ChoiceSet):
                said[name] = value.name
            elif value is not None and not isinstance(value, str):
                said[name] = str(value) if isinstance(value, Path) else f"{len(value)} given"
        return said


def read_strengths(strengths: Sequence[float]) -> tuple[float, ...]:
    """Return the strengths in rising order; raise InputError for none, for 0 and for what is not finite."""
    values = sorted({float(strength) for strength in strengths})
    if not values:
        raise InputError("there are no strengths to try; give at least one, such as (1, 2, 4, 8)")
    wrong = [value for value in values if value == 0 or not math.isfinite(value)]
    if wrong:
        raise InputError(f"strength {wrong[0]:g} cannot be swept: 0 changes nothing; give finite numbers other than 0")
    return tuple(values)
