"""What an effect must be held against: random directions of the same norm, and the flipped sign."""

import torch

from glassbook.core.errors import VectorError
from glassbook.core.seeds import generator
from glassbook.steering.vectors import SteeringVector


def random_like(vector: SteeringVector, seed: int, number: int) -> SteeringVector:
    """Return a random direction with the norm of `vector` at every front token; the same for the same seed and number.

    Drawn uniformly from the sphere, so a row of zeros (the document-start token of ActAdd) stays zeros.
    """
    if vector.values.shape[-1] == 1:
        raise VectorError(
            f"a direction at the single neuron {vector.site} has no random directions beside it; "
            f"steer {vector.site.whole} with one number per neuron instead"
        )
    drawn = torch.randn(vector.values.shape, generator=generator(seed, "random direction", number))
    norms = vector.values.float().norm(dim=-1, keepdim=True)
    values = drawn / drawn.norm(dim=-1, keepdim=True) * norms
    made = {"recipe": "random direction", "like": dict(vector.made), "seed": seed, "number": number}
    return vector.with_(values=values, made=made)


def random_directions(vector: SteeringVector, n: int, seed: int = 0) -> list[SteeringVector]:
    """Return `n` norm-matched random directions."""
    return [random_like(vector, seed, number) for number in range(n)]
