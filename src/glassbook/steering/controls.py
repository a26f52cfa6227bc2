"""What an effect must be held against: random directions of the same norm, and the flipped sign."""

from typing import TypeVar

import torch

from glassbook.core.errors import VectorError
from glassbook.core.seeds import generator
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector

Same = TypeVar("Same", SteeringVector, VectorSet, SteeringVector | VectorSet)


def random_like(vectors: Same, seed: int, number: int) -> Same:
    """Return a random direction with the norm of the vector at every front token; the same for the same seed and number.

    Drawn uniformly from the sphere, so a row of zeros (the document-start token of ActAdd) stays zeros. In a set every
    vector has a random direction of its own. Under operators that take only the unit vector (ablate, scale, project) the
    norm is no control: a random direction then changes a value by what happens to lie along it, most often far less.
    """
    if isinstance(vectors, VectorSet):
        return VectorSet(tuple(_random(vector, seed, number, str(vector.site)) for vector in vectors))
    return _random(vectors, seed, number)


def _random(vector: SteeringVector, seed: int, number: int, *place: str) -> SteeringVector:
    if vector.values.shape[-1] == 1:
        raise VectorError(
            f"a direction at the single neuron {vector.site} has no random directions beside it; "
            f"steer {vector.site.whole} with one number per neuron instead"
        )
    drawn = torch.randn(vector.values.shape, generator=generator(seed, "random direction", number, *place))
    norms = vector.values.float().norm(dim=-1, keepdim=True)
    values = drawn / drawn.norm(dim=-1, keepdim=True) * norms
    made = {"recipe": "random direction", "like": dict(vector.made), "seed": seed, "number": number}
    return vector.with_(values=values, made=made)


def random_directions(vectors: Same, n: int, seed: int = 0) -> list[Same]:
    """Return `n` norm-matched random directions."""
    return [random_like(vectors, seed, number) for number in range(n)]
