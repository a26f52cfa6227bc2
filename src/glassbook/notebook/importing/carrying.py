"""Footnotes and link definitions: they stand once on a page and go with every entry that uses them."""

from collections.abc import Iterable, Mapping
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
    notes = _notes(plan.page)
    ranges = [(note.start, note.end) for note in notes.values()]
    asked = _asked(plan, notes)
    lost: dict[int, set[int]] = {}
    gained: dict[int, list[tuple[int, int]]] = {}
    for note in notes.values():
        users = [index for index, labels in asked.items() if note.label in labels]
        owner = plan.owners[note.start]
        if users and owner not in users:
            lost.setdefault(owner, set()).update(range(note.start, note.end))
        for index in users:
            if index != owner:
                gained.setdefault(index, []).append((note.start, note.end))
    for index, (first, last) in _definitions(plan, asked, notes):
        if not any(start <= first < end and (start, end) in gained.get(index, ()) for start, end in ranges):
            gained.setdefault(index, []).append((first, last))
    return Carried(
        {index: frozenset(lines) for index, lines in lost.items()},
        {index: tuple(sorted(set(spans))) for index, spans in gained.items()},
    )


def _notes(page: Page) -> dict[str, _Note]:
    found: dict[str, _Note] = {}
    for token in page.notes():
        start, end = token.map or (0, 0)
        while end > start + 1 and not page.lines[end - 1].strip():
            end -= 1
        found.setdefault(token.meta["label"], _Note(token.meta["label"], start, end))
    return found


def _asked(plan: PagePlan, notes: Mapping[str, _Note]) -> dict[int, set[str]]:
    """Return the labels of the footnotes that each entry refers to, those of its footnotes among them."""
    inside: dict[str, set[str]] = {label: set() for label in notes}
    asked: dict[int, set[str]] = {}
    for token in plan.page.tokens:
        labels = note_labels(token) if token.type == "inline" else []
        if not labels:
            continue
        line = (token.map or (0, 0))[0]
        within = next((note for note in notes.values() if note.start <= line < note.end), None)
        if within is not None:
            inside[within.label].update(labels)
        else:
            asked.setdefault(plan.owners[line], set()).update(labels)
    for labels_of_entry in asked.values():
        waiting = list(labels_of_entry)
        while waiting:
            for label in inside.get(waiting.pop(), ()):
                if label not in labels_of_entry:
                    labels_of_entry.add(label)
                    waiting.append(label)
    return asked


def _definitions(
    plan: PagePlan, asked: Mapping[int, set[str]], notes: Mapping[str, _Note]
) -> Iterable[tuple[int, tuple[int, int]]]:
    """Yield each link definition that an entry uses and does not hold, as the entry's index and the lines."""
    for token in plan.page.tokens:
        line = (token.map or (0, 0))[0]
        for label in definition_labels(token) if token.type == "inline" else ():
            if label not in plan.page.definitions:
                continue
            within = next((note for note in notes.values() if note.start <= line < note.end), None)
            users = [plan.owners[line]]
            if within is not None:
                users = [index for index, labels in asked.items() if within.label in labels] or users
            span = plan.page.definitions[label]
            yield from ((index, span) for index in users if plan.owners[span[0]] != index)
