"""Features: sparse dictionaries, how they are trained and what they are held against."""

from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import DICTIONARIES, Dictionary, Sparse, make_dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.gated import Gated
from glassbook.features.identity import Identity
from glassbook.features.jumprelu import JumpReLU
from glassbook.features.learning import DictionaryLearner, DictionarySettings
from glassbook.features.matching_pursuit import MatchingPursuit
from glassbook.features.matryoshka import MatryoshkaBatchTopK
from glassbook.features.principal_components import PrincipalComponents
from glassbook.features.random_directions import RandomDirections
from glassbook.features.standard import Standard
from glassbook.features.topk import TopK
from glassbook.features.transcoder import SkipTranscoder, Transcoder

__all__ = [
    "DICTIONARIES",
    "BatchTopK",
    "Dictionary",
    "DictionaryError",
    "DictionaryLearner",
    "DictionarySettings",
    "Gated",
    "Identity",
    "JumpReLU",
    "MatchingPursuit",
    "MatryoshkaBatchTopK",
    "PrincipalComponents",
    "RandomDirections",
    "SkipTranscoder",
    "Sparse",
    "Standard",
    "TopK",
    "Transcoder",
    "make_dictionary",
]
