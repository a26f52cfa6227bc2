"""A notebook: a folder with `glassbook.toml`, its entries, and the references that they cite."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from glassbook.core.errors import GlassbookError
from glassbook.evidence.citations import Reference
from glassbook.notebook.entries import KINDS, Entry, line_of, read_entry
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.remembered import remembered
from glassbook.notebook.settings import Settings, read_settings
from glassbook.runs.places import NOTEBOOK_FILE

ENTRIES_FOLDER = "entries"
BIBLIOGRAPHIES = ("refs.bib", "refs.json")
_NO_ENTRIES = ("assets", "runs")
_RANKS: tuple[Callable[[Entry], tuple[str, ...]], ...] = (
    lambda entry: (entry.slug,),
    lambda entry: (entry.title,),
    lambda entry: entry.aliases,
)


@dataclass(frozen=True)
class Notebook:
    """All entries of a folder in the order of their paths, private ones included, and the references by key."""

    root: Path
    settings: Settings
    entries: tuple[Entry, ...]
    references: Mapping[str, Reference]

    @cached_property
    def public(self) -> tuple[Entry, ...]:
        """Return the entries that may be shown."""
        return tuple(entry for entry in self.entries if not entry.private)

    def find(self, name: str) -> Entry | None:
        """Return the entry whose slug, title or alias this is; case, plural, hyphens and spaces do not matter.

        A slug wins over a title, a title over an alias, and every name of a public entry over those of private ones.
        """
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
    def by_place(self) -> dict[str, Entry]:
        """Return the entries, private ones too, by where their files lie below `entries`: `terms/gpt-2.md`."""
        return {f"{entry.folder}/{entry.path.name}": entry for entry in self.entries}

    @cached_property
    def _names(self) -> dict[str, Entry]:
        """Return every name in its plain form, with its singular where that is no other's name."""
        found: dict[str, Entry] = {}
        for entries in (self.public, [entry for entry in self.entries if entry.private]):
            for names in _RANKS:
                for entry in entries:
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
    faults: list[NotebookError] = []
    settings = _without_faults(faults, partial(read_settings, root / NOTEBOOK_FILE))
    references = _without_faults(faults, partial(read_references, root))
    read = [_without_faults(faults, partial(read_entry, path)) for path in entry_paths(root)]
    entries = tuple(entry for entry in read if entry is not None)
    faults += [*_strays(root), *_doubles(entries)]
    if references is not None:
        faults += [fault for entry in entries for fault in _uncited(entry, references)]
    if faults or settings is None or references is None:
        raise NotebookFaults(faults)
    return Notebook(root, settings, entries, references)


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


def entry_paths(root: Path) -> list[Path]:
    """Return the Markdown files in the folders of the kinds, in the order of their paths."""
    folders = [root / ENTRIES_FOLDER / KINDS.find(name).folder for name in KINDS]
    return sorted(path for folder in folders for path in folder.glob("*.md") if not path.name.startswith("."))


def read_references(root: Path) -> Mapping[str, Reference]:
    """Return the references in `entries/refs.bib` and `entries/refs.json` by key; raise GlassbookError for one in both."""
    found: dict[str, Reference] = {}
    for name in BIBLIOGRAPHIES:
        path = root / ENTRIES_FOLDER / name
        if path.is_file():
            more = remembered(path, root)
            for key in sorted(found.keys() & more.keys()):
                raise NotebookError(f"'{key}' stands in {BIBLIOGRAPHIES[0]} too; keep it in one file", path=str(path))
            found |= more
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


Found = TypeVar("Found")


def _without_faults(faults: list[NotebookError], read: Callable[[], Found]) -> Found | None:
    """Return what is read, or None where it cannot be, with the reasons among the faults."""
    try:
        return read()
    except NotebookError as fault:
        faults.extend(fault.faults)
    except GlassbookError as fault:
        faults.append(NotebookError(str(fault)))
    return None


def _strays(root: Path) -> Iterator[NotebookError]:
    """Yield a fault for each Markdown file that lies where no entry is looked for."""
    folders = [KINDS.find(name).folder for name in KINDS]
    for folder in sorted((root / ENTRIES_FOLDER).glob("[!._]*/")):
        if folder.name in (*_NO_ENTRIES, KINDS.find("study").folder):
            continue
        for path in sorted(folder.rglob("*.md")):
            inside = path.relative_to(folder)
            if any(part.startswith(".") for part in inside.parts):
                continue
            if folder.name not in folders:
                near = get_close_matches(folder.name, folders, n=1)
                where = f"did you mean '{near[0]}/'?" if near else f"the folders are {', '.join(folders)}"
                yield NotebookError(f"no kind of entry lies in '{folder.name}/'; {where}", path=str(path), line=1)
            elif len(inside.parts) > 1:
                sentence = f"an entry lies in its folder itself and not deeper; move it to '{folder.name}/{path.name}'"
                yield NotebookError(sentence, path=str(path), line=1)


def _uncited(entry: Entry, references: Mapping[str, Reference]) -> Iterator[NotebookError]:
    """Yield a fault for each key in an entry's fields that no bibliography holds; a correction may name an address instead."""
    named = [("cite", str(entry.fields["cite"]))] if entry.kind == "paper" and entry.fields.get("cite") else []
    named += [("corrections", one.source) for one in entry.corrections if "://" not in one.source]
    for field, key in named:
        if key not in references:
            near = get_close_matches(key, references, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"add it to {ENTRIES_FOLDER}/{BIBLIOGRAPHIES[0]}"
            sentence = f"the field '{field}' names '{key}', which no bibliography has; {hint}"
            yield NotebookError(sentence, path=str(entry.path), line=line_of(entry.path.read_text("utf-8"), field))


def _doubles(entries: Iterable[Entry]) -> list[NotebookError]:
    """Return a fault for each slug that two entries share, and for each alias that names another entry too."""
    faults: list[NotebookError] = []
    slugs: dict[str, list[Entry]] = defaultdict(list)
    aliases: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
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
                line = line_of(entry.path.read_text("utf-8"), "aliases")
                faults.append(NotebookError(sentence, path=str(entry.path), line=line))
    return faults
