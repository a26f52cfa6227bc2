"""Steering: directions, how they act, and what they must be held against.

Turner et al. 2023 (2308.10248); Rimsky et al. 2023 (2312.06681).
"""

from glassbook.steering.comparison import Effect, complete_both, measure_effect
from glassbook.steering.controls import random_directions, random_like
from glassbook.steering.directions import DIRECTIONS
from glassbook.steering.effects import choice_log_odds
from glassbook.steering.files import load_vector, save_vector
from glassbook.steering.fluency import perplexity_ratio
from glassbook.steering.formats.control_vector import load_control_vector, save_control_vector
from glassbook.steering.recipes import actadd, actadd_set, direction, directions, mean_difference
from glassbook.steering.sweep import sweep
from glassbook.steering.sweeps.effects import EFFECTS
from glassbook.steering.sweeps.result import Sweep
from glassbook.steering.vector_set import PerRow, VectorSet, everywhere
from glassbook.steering.vectors import SteeringVector

__all__ = [
    "DIRECTIONS",
    "EFFECTS",
    "Effect",
    "PerRow",
    "SteeringVector",
    "Sweep",
    "VectorSet",
    "actadd",
    "actadd_set",
    "choice_log_odds",
    "complete_both",
    "direction",
    "directions",
    "everywhere",
    "load_control_vector",
    "load_vector",
    "mean_difference",
    "measure_effect",
    "perplexity_ratio",
    "random_directions",
    "random_like",
    "save_control_vector",
    "save_vector",
    "sweep",
]
