"""Circuits: what features do together. Which are active at a text, and which make its next token likely."""

from glassbook.circuits.ablation import Agreement, Compared, ablate_each, check_attribution
from glassbook.circuits.active_features import ActiveFeatures, active_features
from glassbook.circuits.attribution import Attribution, FeatureScore, Question, attribute

__all__ = [
    "ActiveFeatures",
    "Agreement",
    "Attribution",
    "Compared",
    "FeatureScore",
    "Question",
    "ablate_each",
    "active_features",
    "attribute",
    "check_attribution",
]
