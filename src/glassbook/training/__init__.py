"""Training: one loop over Learners, with checkpoints from which it goes on to the same bits."""

from glassbook.training.language import LanguageLearner, LanguageSettings, evaluate
from glassbook.training.learner import Learner, Stream
from glassbook.training.loop import History, Progress, Settings, train
from glassbook.training.streams import Examples, TokenWindows, all_windows, pad_examples

__all__ = [
    "Examples",
    "History",
    "LanguageLearner",
    "LanguageSettings",
    "Learner",
    "Progress",
    "Settings",
    "Stream",
    "TokenWindows",
    "all_windows",
    "evaluate",
    "pad_examples",
    "train",
]
