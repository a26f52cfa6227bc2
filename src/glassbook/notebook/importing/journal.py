"""What an import wrote: kept in the notebook, so that the next one knows its own entries and leaves edited ones alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from glassbook.files.atomic import write_json
from glassbook.files.hashes import sha256_bytes
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing.assets import Assets
from glassbook.notebook.importing.history import Dates
from glassbook.notebook.importing.naming import slug_of
from glassbook.notebook.importing.plan import PagePlan
from glassbook.notebook.importing.sources import Source

FOLDER = Path(".glassbook", "imports")
LEFT_ALONE = "edited, left alone"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of an import: where it lies below the notebook, its checksum when it was written, and its dates."""

    path: str
    sha256: str
    before: str = ""
    date: str = ""
    changed: tuple[str, ...] = ()


class Journal(msgspec.Struct, frozen=True):
    """All that an import wrote: the checksums of its sources, its entries by key, and its files."""

    sources: dict[str, str]
    entries: dict[str, Kept]
    assets: dict[str, str]
    fetched: dict[str, str]


EMPTY = Journal({}, {}, {}, {})


def import_id(sources: Sequence[Source]) -> str:
    """Return the name of an import: the same for pages at the same places, whatever they say."""
    names = sorted(source.origin for source in sources)
    first = slug_of(sources[0].base or sources[0].path.stem)
    return f"{first}-{sha256_bytes(chr(10).join(names).encode())[:8]}"


def read_journal(root: Path, name: str) -> Journal:
    """Return what the last import of this name wrote, or nothing where there was none."""
    path = root / FOLDER / f"{name}.json"
    if not path.exists():
        return EMPTY
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except (msgspec.DecodeError, OSError) as fault:
        told = f"the record of the last import cannot be read ({fault}); mend or remove it"
        raise NotebookError(told, path=str(path)) from fault


def write_journal(root: Path, name: str, journal: Journal) -> None:
    """Write the record of an import, all or nothing."""
    write_json(root / FOLDER / f"{name}.json", msgspec.to_builtins(journal))


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry or file: written, updated, unchanged, or edited and left alone."""

    path: str
    state: str


@dataclass(slots=True)
class Fate:
    """The files to write and what is to be said of each, by path below the notebook."""

    files: dict[str, bytes] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Written:
    """All that an import means to write: the plans, the bytes of every file by path, the copied files, the dates by key."""

    plans: Sequence[PagePlan]
    files: Mapping[str, bytes]
    assets: Assets
    dates: Mapping[str, Dates]


def decide_fate(root: Path, planned: Mapping[str, bytes], last: Journal) -> Fate:
    """Return which of the planned files are written; one that a person has edited is left alone."""
    fate = Fate()
    ours = {kept.path: {kept.sha256, kept.before} for kept in last.entries.values()}
    ours |= {f"entries/assets/{name}": {sha256} for name, sha256 in last.assets.items()}
    for path, data in planned.items():
        standing = _checksum(root / path)
        if standing == sha256_bytes(data):
            fate.results.append(Result(path, "unchanged"))
        elif standing is None or standing in ours.get(path, ()):
            fate.files[path] = data
            fate.results.append(Result(path, "written" if standing is None else "updated"))
        else:
            fate.results.append(Result(path, LEFT_ALONE))
    return fate


def journals(root: Path, written: Written, fate: Fate, last: Journal) -> tuple[Journal, Journal]:
    """Return the record of an import that is about to write its files, and of one that has."""
    before = {kept.path: kept.sha256 for kept in last.entries.values()}
    states = {result.path: result.state for result in fate.results}
    entries = {key: kept for key, kept in last.entries.items() if (root / kept.path).exists()}
    for plan in written.plans:
        for entry in plan.entries:
            path = f"entries/{entry.path.as_posix()}"
            if states[path] == LEFT_ALONE:
                continue
            dates = written.dates.get(entry.key, Dates())
            entries[entry.key] = Kept(path, sha256_bytes(written.files[path]), "", dates.first, dates.changed)
    final = Journal(
        dict(sorted((plan.source.origin, plan.source.sha256) for plan in written.plans)),
        dict(sorted(entries.items())),
        dict(sorted((last.assets | {name: asset.sha256 for name, asset in written.assets.copied.items()}).items())),
        dict(sorted((last.fetched | written.assets.fetched).items())),
    )
    pending = {
        key: msgspec.structs.replace(
            kept, before=before.get(kept.path, "") if states.get(kept.path) == "updated" else ""
        )
        for key, kept in final.entries.items()
    }
    return msgspec.structs.replace(final, entries=pending), final


def _checksum(path: Path) -> str | None:
    return sha256_bytes(path.read_bytes()) if path.is_file() else None
