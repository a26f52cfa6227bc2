"""Features: sparse dictionaries, how they are trained and what they are held against."""

from glassbook.features.dictionary import DICTIONARIES, Dictionary, Sparse, make_dictionary
from glassbook.features.faults import DictionaryError

__all__ = ["DICTIONARIES", "Dictionary", "DictionaryError", "Sparse", "make_dictionary"]
