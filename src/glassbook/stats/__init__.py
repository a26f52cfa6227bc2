"""How far a number may be trusted: intervals by resampling, permutation tests, ranks among controls, frontiers."""

from glassbook.stats.bootstrap import bootstrap, bootstrap_difference, bootstrap_two_level
from glassbook.stats.frontier import frontier
from glassbook.stats.intervals import Interval
from glassbook.stats.permutation import PermutationTest, Rank, permutation_test, rank_among
from glassbook.stats.samples import generator, geometric_mean, mean

__all__ = [
    "Interval",
    "PermutationTest",
    "Rank",
    "bootstrap",
    "bootstrap_difference",
    "bootstrap_two_level",
    "frontier",
    "generator",
    "geometric_mean",
    "mean",
    "permutation_test",
    "rank_among",
]
