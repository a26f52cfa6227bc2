"""A notebook: a folder with `glassbook.toml`, its entries, and the references that they cite."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import GlassbookError
from glassbook.evidence.citations import Reference, read_bibliography
from glassbook.notebook.entries import KINDS, Entry, read_entry
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.runs.places import NOTEBOOK_FILE

ENTRIES_FOLDER = "entries"
BIBLIOGRAPHIES = ("refs.bib", "refs.json")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `glassbook.toml` says under `[notebook]`; without an `address` nothing is written that needs absolute links."""

    title: str = "Notebook"
    author: str = ""
    language: str = "en"
    description: str = ""
    address: str = ""
    repository: str = ""


@dataclass(frozen=True)
class Notebook:
    """All entries of a folder in the order of their paths, private ones included, and the references by key."""

    root: Path
    settings: Settings
    entries: tuple[Entry, ...]
    references: Mapping[str, Reference]

    @property
    def public(self) -> tuple[Entry, ...]:
        """Return the entries that may be shown."""
        return tuple(entry for entry in self.entries if not entry.private)

    def find(self, name: str) -> Entry | None:
        """Return the entry whose slug, title or alias this is; case, plural, hyphens and spaces do not matter."""
        return self._names.get(spoken(name)) or self._names.get(singular(spoken(name)))

    def nearest(self, name: str) -> str | None:
        """Return the slug, title or alias that is spelled most like `name`, or None where none is near."""
        near = get_close_matches(spoken(name), self._spelled, n=1, cutoff=0.7)
        return self._spelled[near[0]] if near else None

    def hint_for_key(self, key: str) -> str:
        """Return the end of a sentence that names the citation key spelled most like `key`, or nothing."""
        near = get_close_matches(key, self.references, n=1)
        return f"; did you mean '{near[0]}'?" if near else "; add it there"

    @cached_property
    def _names(self) -> dict[str, Entry]:
        """Return every name in its plain form; a slug wins over a title, a title over an alias."""
        found: dict[str, Entry] = {}
        for names in (lambda entry: (entry.slug,), lambda entry: (entry.title,), lambda entry: entry.aliases):
            for entry in self.entries:
                for name in names(entry):
                    found.setdefault(spoken(name), entry)
        for name, entry in list(found.items()):
            found.setdefault(singular(name), entry)
        return found

    @cached_property
    def _spelled(self) -> dict[str, str]:
        names = ((entry, (entry.slug, entry.title, *entry.aliases)) for entry in self.public)
        return {spoken(name): name for _, several in names for name in several}


def open_notebook(folder: Path | None = None) -> Notebook:
    """Return the notebook in a folder, or in the nearest one above that has `glassbook.toml`.

    Raises NotebookFaults with all that is wrong in its entries, each with file and line; NotebookError where there is none.
    """
    root = find_root(folder)
    settings = read_settings(root / NOTEBOOK_FILE)
    entries: list[Entry] = []
    faults: list[NotebookError] = []
    for path in entry_paths(root):
        try:
            entries.append(read_entry(path))
        except NotebookError as fault:
            faults.extend(fault.faults)
    references: Mapping[str, Reference] = {}
    try:
        references = read_references(root)
    except GlassbookError as fault:
        faults.append(NotebookError(str(fault)))
    faults.extend(_doubles(entries))
    if faults:
        raise NotebookFaults(faults)
    return Notebook(root, settings, tuple(entries), references)


def find_root(folder: Path | None = None) -> Path:
    """Return the folder given, or the nearest above the working folder that has `glassbook.toml`."""
    if folder is not None:
        if not (folder / NOTEBOOK_FILE).is_file():
            sentence = (
                f"'{folder}' is no notebook: it has no {NOTEBOOK_FILE}; `glassbook new notebook {folder}` makes one"
            )
            raise NotebookError(sentence)
        return folder.resolve()
    here = Path.cwd()
    for above in (here, *here.parents):
        if (above / NOTEBOOK_FILE).is_file():
            return above
    raise NotebookError(
        f"there is no {NOTEBOOK_FILE} here or above; give --notebook DIR, or make one with `glassbook new notebook DIR`"
    )


def read_settings(path: Path) -> Settings:
    """Return the settings in `glassbook.toml`; raise NotebookError for what is no TOML or no setting."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise NotebookError(f"this cannot be read as TOML ({fault}); mend it there", path=str(path)) from fault
    known = Settings.__struct_fields__
    rows: dict[str, Any] = found.get("notebook", {})
    for name in rows:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
            raise NotebookError(f"[notebook] has no setting '{name}'; {hint}", path=str(path))
    try:
        return msgspec.convert(rows, Settings)
    except msgspec.ValidationError as fault:
        raise NotebookError(f"a setting under [notebook] is not what it should be ({fault})", path=str(path)) from fault


def entry_paths(root: Path) -> list[Path]:
    """Return the Markdown files of a notebook: those in the folders of its kinds, deeper ones of runs and studies left out."""
    folders = [root / ENTRIES_FOLDER / KINDS.find(name).folder for name in KINDS]
    return sorted(path for folder in folders for path in folder.glob("*.md") if not path.name.startswith("."))


def read_references(root: Path) -> Mapping[str, Reference]:
    """Return the references in `entries/refs.bib` and `entries/refs.json` by key."""
    found: dict[str, Reference] = {}
    for name in BIBLIOGRAPHIES:
        path = root / ENTRIES_FOLDER / name
        if path.is_file():
            found |= read_bibliography(path)
    return found


def spoken(name: str) -> str:
    """Return a name as it sounds: without case, hyphens and double spaces."""
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()


def singular(name: str) -> str:
    """Return a plain name without the ending of its plural."""
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") and len(name) > 3 else name


def _doubles(entries: Iterable[Entry]) -> list[NotebookError]:
    """Return a fault for each slug that two entries share, and for each alias that names another entry too."""
    faults, slugs, aliases = [], defaultdict(list), defaultdict(list)
    for entry in entries:
        slugs[entry.slug].append(entry)
        for alias in entry.aliases:
            aliases[spoken(alias)].append((alias, entry))
    for slug, several in slugs.items():
        for entry in several[1:]:
            sentence = f"'{several[0].path}' is called '{slug}' too; rename one of the two files"
            faults.append(NotebookError(sentence, path=str(entry.path), line=1))
    owners = {spoken(slug): several[0] for slug, several in slugs.items()}
    for name, found in aliases.items():
        first = owners.get(name, found[0][1])
        for alias, entry in found:
            if entry is not first:
                sentence = f"the alias '{alias}' names '{first.path}' already; take it out of one of the two"
                faults.append(NotebookError(sentence, path=str(entry.path), line=1))
    return faults
