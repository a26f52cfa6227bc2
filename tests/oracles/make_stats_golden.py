"""Write `tests/golden/stats_oracles.json`: what moocore says of sets of points, and choix of who beat whom.

Needs moocore and choix, but no network: `python make_stats_golden.py`. `make oracles` runs it.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import choix
import moocore
import numpy as np
from golden_text import compact

GOLDEN = Path(__file__).parents[1] / "golden" / "stats_oracles.json"
# (points, objectives, decimals): few decimals make equal and half-equal points, as whole numbers do.
SHAPES = [(1, 2, 3), (40, 1, 2), (60, 2, 3), (60, 2, 1), (30, 3, 3), (40, 3, 1), (18, 4, 2), (12, 5, 2)]
# (players, games, penalty as choix writes it)
LEAGUES = [(2, 9, 0.0), (4, 60, 0.0), (7, 300, 0.0), (5, 12, 0.05), (6, 8, 0.5)]


def points_case(shape: tuple[int, int, int], draw: np.random.Generator) -> dict[str, Any]:
    """Return one set of points with its ranks and its hypervolume up to two corners."""
    n, n_objectives, decimals = shape
    points = np.round(draw.random((n, n_objectives)), decimals)
    corners = [[1.1] * n_objectives, [0.7] * n_objectives]
    # With one objective there is nothing to sort by moocore's own rule; the ranks are those of the values.
    ranks = moocore.pareto_rank(points) if n_objectives > 1 else np.unique(points, return_inverse=True)[1]
    volumes = [float(moocore.hypervolume(points, ref=corner)) for corner in corners]
    return {"points": points.tolist(), "ranks": ranks.ravel().tolist(), "corners": corners, "hypervolumes": volumes}


def league(shape: tuple[int, int, float], draw: np.random.Generator) -> dict[str, Any]:
    """Return games of one league and choix's ratings, their mean taken off."""
    n, n_games, alpha = shape
    ratings = draw.normal(0, 0.8, n)
    games = []
    for number in range(n_games):
        # Two rounds of everyone beating the next one first, so that a league without a penalty has finite ratings.
        a, b = (number % n, (number + 1) % n) if number < 2 * n else map(int, draw.choice(n, 2, replace=False))
        if number >= 2 * n and draw.random() > 1 / (1 + np.exp(ratings[b] - ratings[a])):
            a, b = b, a
        games.append([a, b])
    found = choix.opt_pairwise(n, games, alpha=alpha, tol=1e-12, max_iter=10_000)
    return {
        "n_players": n,
        "won_and_lost": games,
        "alpha": alpha,
        "ratings": (found - found.mean()).round(9).tolist(),
    }


def main() -> None:
    """Draw, ask both, and write the file."""
    draw = np.random.default_rng(0)
    found = {
        "made_by": {name: version(name) for name in ("moocore", "choix", "numpy", "scipy")},
        "sets": [points_case(shape, draw) for shape in SHAPES],
        "leagues": [league(shape, draw) for shape in LEAGUES],
    }
    GOLDEN.write_text(compact(found))


if __name__ == "__main__":
    main()
