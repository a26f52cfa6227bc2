"""Footnotes and link definitions: they stand once on a page and go with every entry that uses them."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from glassbook.notebook.importing.dialect import Page, definition_labels, note_labels
from glassbook.notebook.importing.plan import PagePlan


@dataclass(frozen=True, slots=True)
class Carried:
    """For each entry of a page by its index: the lines it loses, and the stretches of lines that it gains at its end."""

    lost: Mapping[int, frozenset[int]]
    gained: Mapping[int, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class _Note:
    label: str
    start: int
    end: int


def carry(plan: PagePlan) -> Carried:
    """Return which entry needs which footnotes and definitions from elsewhere on the page."""
    notes = _Notes(plan.page)
    users = _users(plan, notes)
    lost: dict[int, set[int]] = {}
    gained: dict[int, set[tuple[int, int]]] = {}
    for note in notes.by_label.values():
        owner = plan.owners[note.start]
        if users[note.label] and owner not in users[note.label]:
            lost.setdefault(owner, set()).update(range(note.start, note.end))
        for index in users[note.label] - {owner}:
            gained.setdefault(index, set()).add((note.start, note.end))
    for index, (first, last) in _definitions(plan, users, notes):
        within = notes.around(first)
        if within is None or (within.start, within.end) not in gained.get(index, ()):
            gained.setdefault(index, set()).add((first, last))
    return Carried(
        {index: frozenset(lines) for index, lines in lost.items()},
        {index: tuple(sorted(spans)) for index, spans in gained.items()},
    )


class _Notes:
    """The footnotes of a page by label, and which of them a line stands in."""

    def __init__(self, page: Page) -> None:
        self.by_label: dict[str, _Note] = {}
        for token in page.notes():
            start, end = token.map or (0, 0)
            while end > start + 1 and not page.lines[end - 1].strip():
                end -= 1
            self.by_label.setdefault(token.meta["label"], _Note(token.meta["label"], start, end))
        self._sorted = sorted(self.by_label.values(), key=lambda note: note.start)
        self._starts = [note.start for note in self._sorted]

    def around(self, line: int) -> _Note | None:
        """Return the footnote in which a line stands."""
        at = bisect_right(self._starts, line) - 1
        return self._sorted[at] if at >= 0 and line < self._sorted[at].end else None


def _users(plan: PagePlan, notes: _Notes) -> dict[str, set[int]]:
    """Return, for each footnote, the entries that refer to it, those that do so by another footnote among them."""
    users: dict[str, set[int]] = {label: set() for label in notes.by_label}
    inside: dict[str, set[str]] = {label: set() for label in notes.by_label}
    for token in plan.page.tokens:
        labels = note_labels(token) if token.type == "inline" else []
        if not labels:
            continue
        line = (token.map or (0, 0))[0]
        within = notes.around(line)
        for label in labels:
            if within is not None:
                inside[within.label].add(label)
            else:
                users[label].add(plan.owners[line])
    waiting = [label for label in users if users[label]]
    while waiting:
        label = waiting.pop()
        for other in inside[label]:
            if not users[label] <= users[other]:
                users[other] |= users[label]
                waiting.append(other)
    return users


def _definitions(plan: PagePlan, users: Mapping[str, set[int]], notes: _Notes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield each link definition that an entry uses and does not hold, as the entry's index and the lines."""
    for token in plan.page.tokens:
        line = (token.map or (0, 0))[0]
        for label in definition_labels(token) if token.type == "inline" else ():
            if label not in plan.page.definitions:
                continue
            within = notes.around(line)
            entries = (users[within.label] if within is not None else set()) or {plan.owners[line]}
            span = plan.page.definitions[label]
            yield from ((index, span) for index in sorted(entries) if plan.owners[span[0]] != index)
