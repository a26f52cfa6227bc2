"""Dictionaries in the formats of other packages: read as data and never run, written so that their own loaders open them."""

from glassbook.features.formats.finding import (
    FORMATS,
    Format,
    export_dictionary,
    find_format,
    import_dictionary,
    list_parts,
)
from glassbook.features.formats.neuronpedia import NAME as NEURONPEDIA
from glassbook.features.formats.neuronpedia import export_cards
from glassbook.features.formats.outcome import Exported, Imported

__all__ = [
    "FORMATS",
    "NEURONPEDIA",
    "Exported",
    "Format",
    "Imported",
    "export_cards",
    "export_dictionary",
    "find_format",
    "import_dictionary",
    "list_parts",
]
