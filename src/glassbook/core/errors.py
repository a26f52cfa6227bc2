"""The one family of errors a person is meant to read."""


class GlassbookError(Exception):
    """What was asked cannot be done; the message names the thing, the place and the next step in one sentence.

    The command line prints the message and exits with status 2; library users catch this class or one of its children.
    """


class SiteError(GlassbookError):
    """An address that no value of the model has."""


class InputError(GlassbookError):
    """A prompt, option or number that cannot be used."""


class ModelError(GlassbookError):
    """A model that is unknown, incomplete or of an architecture we do not have."""


class FileFormatError(GlassbookError):
    """A file that is truncated, hostile or not what its name says."""


class SourceError(GlassbookError):
    """Bytes that could not be had: no network, wrong checksum, interrupted transfer."""


class VectorError(GlassbookError):
    """A steering vector that does not belong to this model, Site or width."""


class MemoryLimitError(GlassbookError):
    """A request whose result would not fit into the memory at hand."""


class RunError(GlassbookError):
    """A run folder that is missing, incomplete or altered."""


class EvidenceError(GlassbookError):
    """A claim that cannot be judged: its bar was changed, or an item, a seed, a column or a citation is missing."""
