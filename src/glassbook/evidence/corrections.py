"""Corrections: what a source said, what is right, and where it says so."""

from collections.abc import Mapping, Sequence

import msgspec

from glassbook.evidence.citations import Reference, cite, find_reference


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence that does not hold: what is said, what is right, a citation key, and where in that source."""

    said: str
    right: str
    source: str
    where: str = ""


def check_corrections(corrections: Sequence[Correction], references: Mapping[str, Reference]) -> None:
    """Raise EvidenceError where a correction cites what the bibliography does not hold."""
    for number, correction in enumerate(corrections, start=1):
        find_reference(references, correction.source, f"correction {number}, field 'source'")


def corrections_markdown(corrections: Sequence[Correction], references: Mapping[str, Reference]) -> str:
    """Return corrections as a Markdown list, each with its source; raise EvidenceError for an unknown citation key."""
    check_corrections(corrections, references)
    return "\n".join(_line(correction, references) for correction in corrections)


def _line(correction: Correction, references: Mapping[str, Reference]) -> str:
    source = cite(references, correction.source)
    said, right = (text.strip() for text in (correction.said, correction.right))
    place = f"{source}, {correction.where}" if correction.where else source
    return f"- **{place}** says: {said} — **Right is:** {right}"
