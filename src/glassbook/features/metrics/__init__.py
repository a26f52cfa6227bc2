"""Metrics of dictionaries: what they give back, what they cost the model, what few features tell, whether two found the same."""

from glassbook.features.metrics.absorption import AbsorptionSettings, LetterAbsorption
from glassbook.features.metrics.first_letters import Absorption, first_letter_absorption
from glassbook.features.metrics.in_model import InModel
from glassbook.features.metrics.probing import Probed, Probing, ProbingSettings, sparse_probing
from glassbook.features.metrics.reconstruction import Reconstruction, Tally
from glassbook.features.metrics.stability import Matched, match_features

__all__ = [
    "Absorption",
    "AbsorptionSettings",
    "InModel",
    "LetterAbsorption",
    "Matched",
    "Probed",
    "Probing",
    "ProbingSettings",
    "Reconstruction",
    "Tally",
    "first_letter_absorption",
    "match_features",
    "sparse_probing",
]
