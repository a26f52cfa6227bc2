"""Data made of a known dictionary: atoms of a chosen coherence, a few of them active in each row, how many are found again."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator

_ROUNDS = 400
_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A dictionary and how its atoms are drawn.

    Each of the atoms is active by itself, `active` of them in a row on average, with values from 1 to 2 and normal noise of
    standard deviation `noise` on each coordinate.
    """

    atoms: Float[Tensor, "n d"]
    active: float
    noise: float = 0.01

    @property
    def coherence(self) -> float:
        """Return the largest |cosine| between two atoms."""
        products = self.atoms @ self.atoms.T
        return float(products.fill_diagonal_(0).abs().max())

    def rows(self, n: int, seed: int, number: int = 0) -> Float[Tensor, "n d"]:
        """Return rows that depend on the seed and the number alone."""
        chance = generator(seed, "planted", number)
        shape = (n, len(self.atoms))
        is_active = torch.rand(shape, generator=chance) < self.active / len(self.atoms)
        values = is_active * (1 + torch.rand(shape, generator=chance))
        return values @ self.atoms + self.noise * torch.randn(n, self.atoms.shape[1], generator=chance)


class PlantedRows:
    """A Stream of rows of a planted dictionary."""

    def __init__(self, planted: Planted, batch: int, seed: int) -> None:
        self.planted, self.batch, self.seed = planted, batch, seed
        self.drawn = 0

    def next(self) -> Float[Tensor, "batch d"]:
        """Return the next batch."""
        self.drawn += 1
        return self.planted.rows(self.batch, self.seed, self.drawn)

    def state(self) -> dict[str, Tensor]:
        """Return how many batches were drawn."""
        return {"drawn": torch.tensor(self.drawn)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.drawn = int(state["drawn"])


def planted(n: int, d: int, coherence: float, seed: int, active: float = 4.0) -> Planted:
    """Return n atoms of norm 1 of which pairs have the cosine `coherence`, and no others a larger one.

    Raises InputError where n atoms of d coordinates cannot be kept so far apart.
    """
    atoms = _spread(n // 2 * 2, d, seed)
    first, second = atoms[0::2], atoms[1::2]
    across = F.normalize(second - (second * first).sum(1, keepdim=True) * first, dim=1)
    atoms[1::2] = coherence * first + (1 - coherence**2) ** 0.5 * across
    made = Planted(atoms=atoms, active=active)
    if made.coherence > coherence + 1e-4:
        raise InputError(
            f"{n} atoms of {d} coordinates come no further apart than a cosine of {made.coherence:.2f}; "
            "ask for fewer, for more coordinates, or for a larger coherence"
        )
    return made


def recovery(found: Float[Tensor, "m d"], atoms: Float[Tensor, "n d"], at_least: float = 0.9) -> float:
    """Return the share of atoms for which a direction of their own has a cosine of `at_least`; each direction counts once."""
    cosines = F.normalize(atoms, dim=1) @ F.normalize(found, dim=1).T
    n_recovered = 0
    for _ in range(min(cosines.shape)):
        # The nearest pair that is left belongs together.
        best = int(cosines.argmax())
        atom, direction = divmod(best, cosines.shape[1])
        if cosines[atom, direction] < at_least:
            break
        n_recovered += 1
        cosines[atom] = cosines[:, direction] = -1
    return n_recovered / len(atoms)


def _spread(n: int, d: int, seed: int) -> Float[Tensor, "n d"]:
    """Return n directions that were pushed apart, the nearest the hardest."""
    atoms = F.normalize(torch.randn(n, d, generator=generator(seed, "atoms", n, d)), dim=1)
    for _ in range(_ROUNDS):
        products = (atoms @ atoms.T).fill_diagonal_(0)
        push = products.sign() * torch.softmax(20 * products.abs().flatten(), 0).view_as(products) * n
        atoms = F.normalize(atoms - _STEP * push @ atoms, dim=1)
    return atoms
