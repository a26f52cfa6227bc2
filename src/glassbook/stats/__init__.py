"""How far a number may be trusted: intervals, permutation tests one by one and together, frontiers, ratings."""

from glassbook.stats.bootstrap import bootstrap, bootstrap_difference, bootstrap_two_level
from glassbook.stats.frontier import frontier
from glassbook.stats.intervals import Interval
from glassbook.stats.multiple import FamilyTest, benjamini_hochberg, holm, permutation_test_family
from glassbook.stats.pareto import FrontierComparison, FrontierTest, crowding_distance, hypervolume, non_dominated_sort
from glassbook.stats.permutation import PermutationTest, Rank, permutation_test, rank_among
from glassbook.stats.ratings import Ratings, bootstrap_ratings, bradley_terry, elo
from glassbook.stats.samples import generator, geometric_mean, mean

__all__ = [
    "FamilyTest",
    "FrontierComparison",
    "FrontierTest",
    "Interval",
    "PermutationTest",
    "Rank",
    "Ratings",
    "benjamini_hochberg",
    "bootstrap",
    "bootstrap_difference",
    "bootstrap_ratings",
    "bootstrap_two_level",
    "bradley_terry",
    "crowding_distance",
    "elo",
    "frontier",
    "generator",
    "geometric_mean",
    "holm",
    "hypervolume",
    "mean",
    "non_dominated_sort",
    "permutation_test",
    "permutation_test_family",
    "rank_among",
]
