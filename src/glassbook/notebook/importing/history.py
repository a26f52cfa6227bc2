"""When each entry came to be and was changed, read from the git revisions of its source."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassbook.core.errors import GlassbookError
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.fields import day
from glassbook.notebook.front_matter import split_front_matter
from glassbook.notebook.importing.dialect import parse
from glassbook.notebook.importing.leads import lead
from glassbook.notebook.importing.outline import outline
from glassbook.notebook.importing.plan import PagePlan, Planned

MOST_REVISIONS = 2000
MOST_BYTES = 64 << 20
"""How much of a history is read, newest first; what is older is told to be so."""

_SAME = 0.5  # of the four-word phrases of an entry that an older text must share to be its forerunner
_SECONDS = 120
_GIT = (
    "git",
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.quotePath=false",
)
_LOG = (
    "log",
    "--follow",
    "--format=%x00%H %aI",
    "--name-only",
    "--no-ext-diff",
    "--no-textconv",
    "--no-show-signature",
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Dates:
    """The day of an entry's first appearance and the days of its later changes, as ISO days."""

    first: str = ""
    changed: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the fields of the front matter that say so."""
        fields: dict[str, Any] = {"date": day(self.first)} if self.first else {}
        return {**fields, "changed": [day(found) for found in self.changed]} if self.changed else fields


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a source: its day, and its text."""

    day: str
    text: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a page that may be an entry's forerunner: its name, its text and its phrases."""

    name: str
    text: str
    phrases: frozenset[tuple[str, ...]]


def date_entries(plan: PagePlan) -> tuple[dict[str, Dates], list[str]]:
    """Return the dates of the entries of a page by key, and remarks on what could not be read."""
    try:
        found = list(revisions(plan.source.path))
    except GlassbookError as fault:
        return {}, [str(fault)]
    remarks = []
    if len(found) >= MOST_REVISIONS or sum(len(revision.text) for revision in found) >= MOST_BYTES:
        remarks.append(
            f"only the last {len(found)} revisions of {plan.source.label} were read; older days are not known"
        )
    trails = {entry.key: _Trail(_now(plan, entry)) for entry in plan.entries if entry.part is not None}
    whole = _Trail(_unit(plan.rest.title, plan.source.body))
    units: list[Unit] = []
    before = None
    for revision in found:
        if revision.text != before:
            units = list(_units(revision.text, str(plan.source.path)))
            before = revision.text
        for trail, old in zip(trails.values(), _matches(list(trails.values()), units), strict=True):
            trail.see(revision.day, old)
        whole.see(revision.day, _unit(plan.rest.title, revision.text))
    dates = {key: trail.dates() for key, trail in trails.items()}
    return {
        **dates,
        plan.rest.key: Dates("" if "date" in plan.rest.fields else whole.first, whole.dates().changed),
    }, remarks


def revisions(path: Path) -> Iterator[Revision]:
    """Yield the states of a file in git, newest first, through renames; raise NotebookError where git cannot tell."""
    told = _git(path, *_LOG, f"--max-count={MOST_REVISIONS}", "--", path.name)
    top = Path(_git(path, "rev-parse", "--show-toplevel").strip())
    wanted = []
    for record in told.split("\0")[1:]:
        head, *names = [line for line in record.split("\n") if line]
        commit, stamp = head.split(" ", 1)
        wanted += [(f"{commit}:{names[0]}", stamp[:10])] if names else []
    if not wanted:
        raise NotebookError(f"git knows no revision of '{path.name}'; commit it first, or leave --history out")
    yield from _contents(top, wanted)


def _contents(top: Path, wanted: Sequence[tuple[str, str]]) -> Iterator[Revision]:
    """Yield the texts of blobs, all from one process."""
    command = [*_GIT, "-C", str(top), "cat-file", "--batch"]
    asked = "".join(f"{name}\n" for name, _ in wanted).encode()
    done = subprocess.run(command, input=asked, capture_output=True, timeout=_SECONDS, check=False, env=_surroundings())
    at, total = 0, 0
    for _, stamp in wanted:
        end = done.stdout.find(b"\n", at)
        head = done.stdout[at:end].split()
        if end < 0 or len(head) != 3 or not head[2].isdigit():
            at = end + 1
            continue  # a revision in which the file was not there under this name
        size = int(head[2])
        data, at = done.stdout[end + 1 : end + 1 + size], end + 2 + size
        total += size
        if total > MOST_BYTES:
            return
        yield Revision(stamp, data.decode("utf-8", "replace").replace("\r\n", "\n"))


def _git(path: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(path.parent), *arguments],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=_surroundings(),
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NotebookError(f"git could not be asked about '{path.name}' ({fault}); is it installed?") from fault
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise NotebookError(
            f"'{path.name}' has no history that git can tell ({said}); its entries were not dated by it"
        )
    return done.stdout.decode("utf-8", "replace")


def _surroundings() -> dict[str, str]:
    """Return the environment without what would point git at another repository than the file's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


class _Trail:
    """One entry on its way back through the revisions."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.first = ""
        self._shown: list[str] = []  # the days on which the text became what it was next seen as
        self._text: str | None = None

    def see(self, day_seen: str, old: Unit | None) -> None:
        """Note what an older revision holds in place of the entry, if it holds anything."""
        if old is None:
            return
        if self._text is not None and old.text != self._text:
            self._shown.append(self.first)
        self.first, self._text, self.unit = day_seen, old.text, old

    def dates(self) -> Dates:
        """Return the first day, and the later ones on which the text changed."""
        return Dates(self.first, tuple(sorted({found for found in self._shown if found > self.first})))


def _matches(trails: list[_Trail], units: Sequence[Unit]) -> list[Unit | None]:
    """Return for each entry the part of an older page that it was: the one of its name, or the one most like it."""
    by_name: dict[str, list[Unit]] = {}
    by_phrase: dict[tuple[str, ...], list[int]] = {}
    for number, unit in enumerate(units):
        by_name.setdefault(unit.name, []).append(unit)
        for phrase in unit.phrases:
            by_phrase.setdefault(phrase, []).append(number)
    found: list[Unit | None] = []
    for trail in trails:
        named = by_name.get(trail.unit.name)
        found.append(named.pop(0) if named else _most_like(trail.unit, units, by_phrase))
    return found


def _most_like(unit: Unit, units: Sequence[Unit], by_phrase: dict[tuple[str, ...], list[int]]) -> Unit | None:
    shared: Counter[int] = Counter()
    for phrase in unit.phrases:
        places = by_phrase.get(phrase, ())
        # A phrase that stands everywhere tells nothing, and asking for it everywhere would take long.
        shared.update(places if len(places) <= 20 else ())
    if not shared:
        return None
    number = max(shared, key=lambda at: (shared[at] / max(1, len(units[at].phrases)), -at))
    most = max(len(unit.phrases), len(units[number].phrases), 1)
    return units[number] if shared[number] / most >= _SAME else None


def _now(plan: PagePlan, entry: Planned) -> Unit:
    part = entry.part
    lines = plan.page.lines[part.start : part.end] if part is not None else []
    return _unit(entry.title, "\n".join(lines))


def _units(text: str, path: str) -> Iterator[Unit]:
    """Yield all that could be an entry on a page: its sections, and the items of its lists."""
    try:
        body = split_front_matter(text, path)[1]
    except NotebookError:
        body = text  # an old revision may have been broken; its text is still its text
    page = parse(body)
    for section in outline(page).walk():
        if section.heading is not None:
            yield _unit(section.heading.text, "\n".join(page.lines[section.start : section.end]))
        for block in section.blocks:
            begin = lead(block) if block.is_item else None
            if begin is not None:
                yield _unit(begin.name, "\n".join(page.lines[block.start : block.end]))


def _unit(name: str, text: str) -> Unit:
    words = [word.lower() for word in _WORD.findall(text)]
    phrases = frozenset(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))
    return Unit(" ".join(_WORD.findall(name.lower())), " ".join(words), phrases)
