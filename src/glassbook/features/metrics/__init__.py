"""Metrics of dictionaries: what they give back, what they cost the model, and whether two of them found the same."""

from glassbook.features.metrics.in_model import InModel
from glassbook.features.metrics.reconstruction import Reconstruction, Tally
from glassbook.features.metrics.stability import Matched, match_features

__all__ = ["InModel", "Matched", "Reconstruction", "Tally", "match_features"]
