"""Where a dictionary belongs: the weights it was trained on, and the tokens that its harvest let it see."""

import warnings
from collections.abc import Mapping
from typing import Any

import msgspec

from glassbook.activations.store.settings import Policy
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError, DictionaryWarning
from glassbook.models.identity import Identity


def trained_on(dictionary: Dictionary) -> Identity:
    """Return which weights a dictionary was trained on; unknown where it does not say."""
    return weights_named(dictionary.facts)


def weights_named(facts: Mapping[str, Any]) -> Identity:
    """Return which weights the facts of a dictionary name; unknown where they name none."""
    try:
        return msgspec.convert(facts["weights"], Identity)
    except (KeyError, msgspec.ValidationError):
        return Identity.unknown("unknown weights")


def policy_of(dictionary: Dictionary) -> Policy | None:
    """Return which tokens the harvest of a dictionary left out; None where it does not say."""
    try:
        return msgspec.convert(dictionary.facts["harvest"]["policy"], Policy)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None


def check_belongs(dictionary: Dictionary, identity: Identity, force: bool = False) -> bool:
    """Return whether a model has the very weights that a dictionary was trained on, or nothing is known of those.

    Another precision or quantization of them gets a DictionaryWarning, another model a DictionaryError; with `force` neither.
    """
    ours = trained_on(dictionary)
    if not ours.lineage or ours.fingerprint == identity.fingerprint:
        return True
    if force:
        return False
    if ours.lineage != identity.lineage:
        raise DictionaryError(
            f"the dictionary was trained on {ours.label} and this model is {identity.label}, which is not the same model; "
            "open the one it was trained on, or ask for it all the same (force)"
        )
    warnings.warn(
        f"the dictionary was trained on {ours.label} ({ours.dtype}) and is used on {identity.label} ({identity.dtype})",
        DictionaryWarning,
        stacklevel=3,
    )
    return False
