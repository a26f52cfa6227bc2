"""Labels: what a feature stands for, by a rule one can run, with scores that come beside their controls."""

from glassbook.features.labels.ability import BAR, Ability, ability_of
from glassbook.features.labels.background import Background, read_background
from glassbook.features.labels.files import Journal, has_labels, open_labels, save_labels
from glassbook.features.labels.judging import Asked, Judge, RuleJudge
from glassbook.features.labels.label import NOT_ABLE, Label, Labels, Scorer
from glassbook.features.labels.labelling import Labelling, LabelSettings, make_labels
from glassbook.features.labels.lexicon import Lexicon
from glassbook.features.labels.model_judge import ModelJudge
from glassbook.features.labels.passages import Passages
from glassbook.features.labels.rules import KINDS, Rule
from glassbook.features.labels.scoring import Scored, Told
from glassbook.features.labels.searching import Found, Searcher, features_on_text

__all__ = [
    "BAR",
    "KINDS",
    "NOT_ABLE",
    "Ability",
    "Asked",
    "Background",
    "Found",
    "Journal",
    "Judge",
    "Label",
    "LabelSettings",
    "Labelling",
    "Labels",
    "Lexicon",
    "ModelJudge",
    "Passages",
    "Rule",
    "RuleJudge",
    "Scored",
    "Scorer",
    "Searcher",
    "Told",
    "ability_of",
    "features_on_text",
    "has_labels",
    "make_labels",
    "open_labels",
    "read_background",
    "save_labels",
]
