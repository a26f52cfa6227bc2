"""The claims of one study as `claims.toml` holds them, with what they cite in the bibliography beside it."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from glassbook.core.errors import EvidenceError, InputError
from glassbook.evidence.citations import Reference, find_reference, read_bibliography
from glassbook.evidence.claims import Claim
from glassbook.evidence.corrections import Correction, check_corrections

BIBLIOGRAPHIES = ("paper.bib", "paper.json")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAMED = re.compile(r"`(\w+)`$|`(\w+)` - at")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`")
T = TypeVar("T")


class Deviation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that we do otherwise than the paper: the model, the data, a setting."""

    what: str
    paper: str
    ours: str


class PaperCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the paper says it spent, and where it says so; None is "not stated"."""

    parameters: float | None = None
    tokens: float | None = None
    flop: float | None = None
    seconds: float | None = None
    source: str = ""

    @property
    def stated(self) -> bool:
        """Return whether the paper states any of it."""
        return any(value is not None for value in (self.parameters, self.tokens, self.flop, self.seconds))


class ClaimSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A study's claims, how it deviates from its paper, what the paper spent, and what sources said wrongly.

    `references` is what may be cited, by key.
    """

    study: str
    paper: str
    claims: tuple[Claim, ...]
    deviations: tuple[Deviation, ...] = ()
    corrections: tuple[Correction, ...] = ()
    paper_cost: PaperCost = PaperCost()
    references: Mapping[str, Reference] = {}

    def find(self, claim: str) -> Claim:
        """Return the claim of this id; raise EvidenceError that lists what there is."""
        for one in self.claims:
            if one.id == claim:
                return one
        known = ", ".join(one.id for one in self.claims) or "none"
        raise EvidenceError(f"the study '{self.study}' makes no claim '{claim}'; known: {known}")


def read_claims(path: str | Path) -> ClaimSet:
    """Return the claims written in a TOML file, their citations found in `paper.bib` or `paper.json` beside it.

    Raises InputError that names file, claim and field of the first fault.
    """
    path = Path(path)
    written = _read_toml(path)
    tables = written.get("claims")
    if not isinstance(tables, list) or not tables:
        raise InputError(f"'{path}', field 'claims': there is no claim; write one at least, under [[claims]]")
    claims = tuple(_read_claim(path, number, table) for number, table in enumerate(tables, start=1))
    rest = {key: value for key, value in written.items() if key != "claims"}
    if "references" in rest:
        raise InputError(
            f"'{path}', field 'references': references stand in {BIBLIOGRAPHIES[0]} beside it; move them there"
        )
    found = _convert(str(path), {**rest, "claims": []}, ClaimSet)
    found = msgspec.structs.replace(found, claims=claims, references=_read_references(path))
    try:
        _check(found)
    except (InputError, EvidenceError) as fault:
        raise InputError(f"'{path}', {fault}") from None
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputError(f"'{path}' cannot be read ({fault.strerror}); a study keeps its claims there") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InputError(f"'{path}' is not TOML ({fault}); mend it there") from fault


def _read_claim(path: Path, number: int, table: Any) -> Claim:
    name = table.get("id") if isinstance(table, dict) else None
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise InputError(
            f"'{path}', claim {number} in the file, field 'id': {name!r} cannot be used; name it in a-z, 0-9 and '-'"
        )
    try:
        return _convert(f"{path}', claim '{name}", table, Claim)
    except InputError as fault:
        # The checks of a claim name it, but cannot know its file.
        raise fault if str(fault).startswith(f"'{path}'") else InputError(f"'{path}', {fault}") from None


def _convert(where: str, table: Any, kind: type[T]) -> T:
    """Return a table as the struct it should be; raise InputError that names the field which is none of it."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as fault:
        said = str(fault).replace("Object missing", "it is missing").replace("Object", "it")
        place, named = _PLACE.search(said), _NAMED.search(said)
        parts = [place[1] if place else "", (named[1] or named[2]) if named and "field" in said else ""]
        field = ".".join(part for part in parts if part)
        raise InputError(
            f"'{where}', field '{field}': {_PLACE.sub('', said)}; mend it, "
            f"or write the file as TERMS.md and the other studies do"
        ) from fault


def _read_references(path: Path) -> dict[str, Reference]:
    for name in BIBLIOGRAPHIES:
        if (path.parent / name).is_file():
            return read_bibliography(path.parent / name)
    raise InputError(
        f"'{path}' has no bibliography; put {' or '.join(BIBLIOGRAPHIES)} beside it, with the paper it is about"
    )


def _check(found: ClaimSet) -> None:
    seen: set[str] = set()
    for claim in found.claims:
        if claim.id in seen:
            raise InputError(f"claim '{claim.id}', field 'id': two claims have it; name one of them otherwise")
        seen.add(claim.id)
    if not _ID.fullmatch(found.study):
        raise InputError(f"field 'study': '{found.study}' cannot be used; name the study in a-z, 0-9 and '-'")
    if found.paper_cost.stated and not found.paper_cost.source:
        raise InputError(
            "field 'paper_cost.source': where the paper states its cost is missing; name the table or page"
        )
    find_reference(found.references, found.paper, "field 'paper'")
    check_corrections(found.corrections, found.references)
