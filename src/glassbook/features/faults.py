"""What goes wrong with dictionaries."""

from glassbook.core.errors import GlassbookError


class DictionaryError(GlassbookError):
    """A dictionary that cannot be made, read or used where it was asked for."""


class DictionaryWarning(UserWarning):
    """A dictionary is used on another precision or quantization of the model that it was trained on."""
