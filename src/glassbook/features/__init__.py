"""Features: sparse dictionaries, how they are trained and what they are held against."""

from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import DICTIONARIES, Dictionary, Sparse, make_dictionary
from glassbook.features.evaluating import (
    Evaluation,
    EvaluationSettings,
    evaluate,
    open_evaluation,
    save_evaluation,
)
from glassbook.features.faults import DictionaryError
from glassbook.features.files import load_dictionary, save_dictionary
from glassbook.features.gated import Gated
from glassbook.features.identity import Identity
from glassbook.features.jumprelu import JumpReLU
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.many import ManyLearner
from glassbook.features.matching_pursuit import MatchingPursuit
from glassbook.features.matryoshka import MatryoshkaBatchTopK
from glassbook.features.opening import dictionary_folder, known_model, list_dictionaries, open_dictionary, shipped_model
from glassbook.features.principal_components import PrincipalComponents
from glassbook.features.random_directions import RandomDirections
from glassbook.features.splicing import Splice, splice
from glassbook.features.standard import Standard
from glassbook.features.topk import TopK
from glassbook.features.training import Running, Trained, Wanted, train, train_many
from glassbook.features.transcoder import SkipTranscoder, Transcoder

__all__ = [
    "DICTIONARIES",
    "BatchTopK",
    "Dictionary",
    "DictionaryError",
    "DictionaryLearner",
    "DictionarySettings",
    "Evaluation",
    "EvaluationSettings",
    "Gated",
    "Identity",
    "JumpReLU",
    "ManyLearner",
    "MatchingPursuit",
    "MatryoshkaBatchTopK",
    "PrincipalComponents",
    "RandomDirections",
    "Running",
    "SkipTranscoder",
    "Sparse",
    "Splice",
    "Standard",
    "TopK",
    "Trained",
    "Transcoder",
    "Wanted",
    "dictionary_folder",
    "evaluate",
    "known_model",
    "list_dictionaries",
    "load_dictionary",
    "make_dictionary",
    "open_dictionary",
    "open_evaluation",
    "save_dictionary",
    "save_evaluation",
    "shipped_model",
    "splice",
    "train",
    "train_many",
]
