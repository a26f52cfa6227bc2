"""What one would choose from when effect is wanted and has a price."""

import numpy as np

from glassbook.core.errors import InputError
from glassbook.stats.samples import Numbers


def frontier(points: Numbers) -> list[int]:
    """Return the indices of the points (effect, cost) that no other dominates, from the cheapest to the dearest.

    A point dominates another where its effect is no smaller and its cost no greater, and one of the two is better. Equal
    points do not dominate each other. Points that are not finite are never on the frontier.
    """
    table = np.asarray(points, dtype=np.float64)
    if not table.size:
        return []
    if table.ndim != 2 or table.shape[1] != 2:
        raise InputError(f"points of shape {table.shape} make no frontier; give pairs of effect and cost")
    order = [int(index) for index in np.lexsort((-table[:, 0], table[:, 1])) if np.isfinite(table[index]).all()]
    kept: list[int] = []
    for index in order:
        # In rising cost, and at one cost in falling effect: what comes later must do more, or be the same point.
        if not kept or table[index, 0] > table[kept[-1], 0] or (table[index] == table[kept[-1]]).all():
            kept.append(index)
    return kept
