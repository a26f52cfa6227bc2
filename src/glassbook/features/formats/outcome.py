"""What comes of an import and of an export: the dictionary or the files, and what could not be carried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.hooks import site_of
from glassbook.files.reading import shown
from glassbook.models.identity import Identity

KEPT = "glassbook"
"""Under which key a config of another package keeps what only we understand."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A dictionary out of somebody else's file; `remarks` say in sentences what was not carried, or taken to be so."""

    dictionary: Dictionary
    format: str
    source: Path
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """The folder with a dictionary in another package's format, its files, and what could not be carried."""

    folder: Path
    format: str
    files: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says of its dictionary besides the numbers; `kept` is what we wrote beside another package's own."""

    model: str | None = None
    site: str | None = None
    site_out: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()


def imported(dictionary: Dictionary, name: str, source: Path, told: Told, remarks: list[str]) -> Imported:
    """Return an import whose dictionary says what was told of it: nothing is dropped in silence."""
    known = told.kept.get("facts")
    facts = dict(known) if isinstance(known, dict) else {}
    if told.left:
        remarks.append(f"left unread, since no kind of dictionary here has them: {shown(', '.join(told.left))}")
    if told.site is None and site_of(facts.get("site")) is None:
        remarks.append("where the dictionary reads is no Site here or not said; name it where it is spliced")
    if told.model is not None and "weights" not in facts:
        facts["weights"] = Identity.unknown(told.model).to_dict()
    for key, value in (("site", told.site), ("site_out", told.site_out)):
        if value is not None:
            facts[key] = value
        elif site_of(facts.get(key)) is None:
            facts.pop(key, None)
    record = {"format": name, "from": source.name, "config": _without_ours(told.config), "remarks": remarks}
    dictionary.facts = facts | {"imported": record}
    return Imported(dictionary, name, source, tuple(remarks))


def kept_of(dictionary: Dictionary) -> dict[str, Any]:
    """Return what we write under a key of our own beside another package's numbers: kind, settings and facts."""
    return {"kind": dictionary.kind, "settings": dictionary.settings, "facts": dictionary.facts}


def kept_settings(kept: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the settings that we wrote down for a dictionary or a transcoder with features of this kind; else none."""
    named, found = kept.get("kind"), kept.get("settings")
    if isinstance(found, dict) and named in ("transcoder", "skip-transcoder"):
        named, found = found.get("activation"), found.get("activation_settings")
    return dict(found) if named == kind and isinstance(found, dict) else {}


def model_name(dictionary: Dictionary) -> str | None:
    """Return the name of the model that a dictionary was trained on; None where nobody said."""
    weights = dictionary.facts.get("weights")
    name = weights.get("name") if isinstance(weights, dict) else None
    return name if isinstance(name, str) and name else None


def _without_ours(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without what we wrote into it, which has become facts again."""
    metadata = config.get("metadata")
    inner = {key: value for key, value in metadata.items() if key != KEPT} if isinstance(metadata, dict) else None
    return {key: value for key, value in config.items() if key != KEPT} | ({"metadata": inner} if inner else {})
