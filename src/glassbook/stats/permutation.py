"""How often chance alone does as well: permutation tests, and a rank among controls."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from glassbook.core.errors import InputError
from glassbook.stats.relabelings import regroupings, sign_flips
from glassbook.stats.samples import Floats, Numbers, as_sample

Alternative = Literal["two-sided", "greater", "less"]
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """The difference of means and the chance of one as extreme where labels mean nothing.

    `exact` says whether every one of the `n_permutations` was tried, or that many were drawn.
    """

    difference: float
    p: float
    n_permutations: int
    exact: bool


def permutation_test(
    ours: Numbers,
    theirs: Numbers,
    *,
    seed: int,
    paired: bool,
    alternative: Alternative = "two-sided",
    n_permutations: int = 10_000,
) -> PermutationTest:
    """Return the test of mean(ours) - mean(theirs) against the same numbers with their labels exchanged by chance.

    `paired` exchanges the two values of an item (the sign of their difference), else every value may fall to either side.
    All exchanges are tried where there are no more than `n_permutations`; else p = (b + 1) / (n + 1), which is never 0
    and never too small (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9, article 39).
    """
    check_test(alternative, n_permutations)
    a, b = as_sample(ours, "values of ours"), as_sample(theirs, "values of theirs")
    exchanged = (_of_pairs if paired else _of_two_samples)(a, b, seed, n_permutations)
    values, exact = exchanged
    difference = float(a.mean() - b.mean())
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    # Sums of the same numbers in another order may differ in their last bits, and then count as equal.
    extreme = int((toward(values, alternative) >= toward(difference, alternative) - _ROUNDING * size).sum())
    p = extreme / len(values) if exact else (extreme + 1) / (len(values) + 1)
    return PermutationTest(difference, p, len(values), exact)


def check_test(alternative: str, n_permutations: int) -> None:
    """Raise InputError for an alternative that there is not, and for no permutations."""
    if alternative not in get_args(Alternative):
        raise InputError(f"no alternative is called '{alternative}'; known: {', '.join(get_args(Alternative))}")
    if n_permutations < 1:
        raise InputError(f"{n_permutations} permutations test nothing; ask for some thousands")


def toward(values: Any, alternative: Alternative) -> Any:
    """Return numbers that grow the more a difference speaks for the alternative."""
    return {"greater": values, "less": -values, "two-sided": abs(values)}[alternative]


def _of_pairs(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    if len(a) != len(b):
        raise InputError(
            f"{len(a)} and {len(b)} values make no pairs; measure both on the same items, or give paired=False"
        )
    flips, exact = sign_flips(len(a), seed, n_permutations)
    return np.concatenate([signs @ (a - b) for signs in flips]) / len(a), exact


def _of_two_samples(a: Floats, b: Floats, seed: int, n_permutations: int) -> tuple[Floats, bool]:
    both, n, m = np.concatenate([a, b]), len(a), len(b)
    groups, exact = regroupings(n, m, seed, n_permutations)
    chosen = np.concatenate([both[members].sum(axis=1) for members in groups])
    return chosen / n - (both.sum() - chosen) / m, exact


@dataclass(frozen=True, slots=True)
class Rank:
    """How a value stands among controls: how many of `n` it exceeds, and the chance `p` of standing so well as one of them."""

    beaten: int
    n: int
    p: float

    @property
    def share(self) -> float:
        """Return the share of the controls that the value exceeds, from 0 to 1."""
        return self.beaten / self.n


def rank_among(value: float, controls: Numbers) -> Rank:
    """Return the rank of `value` among controls, such as the effects of random directions; a tie is not beaten.

    p = (1 + how many controls do as well) / (1 + n) is exact where value and controls were drawn alike (Phipson and
    Smyth 2010): to fall below 0.05 takes at least 20 controls. Raises InputError for a value or control that is not finite.
    """
    others = as_sample(controls, "controls")
    one = float(as_sample([value], "value")[0])
    beaten = int((others < one).sum())
    return Rank(beaten, len(others), (1 + len(others) - beaten) / (1 + len(others)))
