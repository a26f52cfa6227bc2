"""What a build is told of studies: their numbers, their claims, and which of them are stale, all without torch.

A claim is stale here where the code that made it or its bar changed. Whether settings, data and weights are what they were
only the study itself can tell: that is left to `glassbook verify`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import glassbook
from glassbook.core.errors import GlassbookError
from glassbook.evidence import ClaimSet, read_claims
from glassbook.files.atomic import write_json
from glassbook.files.hashes import hash_json
from glassbook.notebook.kept import Known, kept_runs, places
from glassbook.runs.code_hash import code_hash
from glassbook.studies.finding import CLAIMS_FILE, folder_named
from glassbook.studies.numbers import Kept, says

_CACHE = Path(".glassbook", "cache", "code.json")


def known_of(root: Path) -> Known:
    """Return what the notebook at `root` is told of studies and runs."""
    plain = Known(Kept(root), claims_of, says)
    hashes = _Hashes(root / _CACHE)
    stale = {name: _stale(place.records.values(), place.claims, hashes) for name, place in places(root, plain).items()}
    changed = frozenset(name for name, run in kept_runs(root).items() if not hashes.holds(run.record))
    hashes.keep()
    return Known(plain.numbers, plain.claims, plain.says, stale, changed)


def claims_of(study: str) -> ClaimSet:
    """Return the claims of a study as they stand now."""
    return read_claims(folder_named(study) / CLAIMS_FILE)


def _stale(records: Iterable[Mapping[str, Any]], claims: ClaimSet, hashes: "_Hashes") -> dict[str, str]:
    kept = list(records)
    has_changed = not all(hashes.holds(record) for record in kept)
    found = {}
    for claim in claims.claims:
        bars = {record["asked"]["config"]["bars"].get(claim.id) for record in kept}
        causes = ["the code that measured it has changed"] if has_changed else []
        causes += ["its bar has changed"] if bars != {claim.bar_hash} else []
        if causes:
            found[claim.id] = " and ".join(causes)
    return found


class _Hashes:
    """Hashes of code as it is now, kept on the disk for as long as no file of the package changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = hash_json(
            [[str(file), *_stamp(file)] for file in sorted(Path(glassbook.__file__).parent.rglob("*.py"))]
        )
        self._known, self._is_new = self._read(), False

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Return whether the code that a run imported is what it was; one that never said what it imported holds."""
        code = record.get("code") or {}
        modules, without = code.get("modules") or [], code.get("without") or []
        if not modules:
            return True
        key = hash_json([modules, without])
        if key not in self._known:
            self._is_new = True
            try:
                self._known[key] = code_hash(modules, without)
            except GlassbookError:
                # A module that went is code that changed.
                self._known[key] = ""
        return self._known[key] == code["sha256"]

    def keep(self) -> None:
        """Write what was hashed anew, for the next build; a notebook that cannot be written to is hashed again."""
        if self._is_new:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, {"state": self._state, "hashes": self._known})
            except (OSError, GlassbookError):
                return

    def _read(self) -> dict[str, str]:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Any])
            return dict(kept["hashes"]) if kept["state"] == self._state else {}
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            return {}


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns
