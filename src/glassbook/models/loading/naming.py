"""Which model a name means: the table of known models, and what counts as one name."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A model that can be opened by a name of ours; `also_called` are names that files of it carry."""

    name: str
    also_called: tuple[str, ...]
    aliases: tuple[str, ...] = ()


KNOWN: dict[str, Known] = {
    "smollm2-135m": Known(
        name="SmolLM2-135M-Instruct",
        also_called=("HuggingFaceTB/SmolLM2-135M-Instruct", "Smollm2 135M 8k Lc100K Mix1 Ep2"),
        aliases=("smollm2", "smollm2-135m-instruct", "default"),
    ),
}


def find_known(name: str) -> str | None:
    """Return the key of `KNOWN` that a name or alias means, or None."""
    lower = name.lower()
    return next((key for key, known in KNOWN.items() if lower == key or lower in known.aliases), None)


def display_name(stated: str) -> str:
    """Return how pages name a model that calls itself `stated`: its usual name, or what it says without its owner."""
    known = _recognize(stated)
    return known.name if known else stated.rpartition("/")[2]


def origin_of(stated: str) -> str:
    """Return the one spelling of a model's name that its lineage is made of."""
    return re.sub(r"[^a-z0-9@.]+", "-", display_name(stated).lower()).strip("-")


def _recognize(stated: str) -> Known | None:
    return next((known for known in KNOWN.values() if stated in known.also_called), None)
