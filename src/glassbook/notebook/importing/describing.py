"""What the fields of an entry can be told from the words of its source; nothing is guessed that is not written there."""

import re
from typing import Any

from glassbook.notebook.importing.leads import LONGEST, Lead
from glassbook.notebook.importing.outline import Block, Heading, Section
from glassbook.notebook.importing.periods import Period, find_period
from glassbook.notebook.importing.words import begins_as_note, definition_in, parted_name, status_named, tidy

_WITH = re.compile(
    r"(?:meeting|met|call|chat|coffee|conversation|talk|lunch|interview|1[:-]1|one[- ]on[- ]one)\s+with\s+(?P<whom>.+)",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"\s*[(,]\s*[^()]*\)?\s*$")


def title_of(heading: Heading) -> str:
    """Return the title that a heading gives its entry, empty where it has no words."""
    text = tidy(heading.text)
    return text if any(letter.isalnum() for letter in text) else ""


def describe_section(section: Section, kind: str, trail: tuple[str, ...], period: Period | None) -> dict[str, Any]:
    """Return the fields of an entry that was a section."""
    heading = section.heading
    title = heading.text if heading else ""
    text = next((block.text for block in section.blocks), "")
    fields = _of_kind(kind, title, text, trail)
    if kind == "paper" and heading is not None:
        url = next((str(token.attrs["href"]) for token in heading.children if token.type == "link_open"), None)
        fields = {**Lead(title, url, "", False).identifiers, **fields}
        if section.blocks:
            fields.setdefault("status", "read")
    return {**fields, **_dated(kind, period)}


def describe_item(
    block: Block, kind: str, begin: Lead, trail: tuple[str, ...], period: Period | None
) -> dict[str, Any]:
    """Return the title and the fields of an entry that was an item of a list."""
    fields: dict[str, Any] = {"title": begin.name, **_of_kind(kind, begin.name, begin.rest, trail)}
    if kind == "paper":
        fields |= begin.identifiers
        if begins_as_note(begin.rest) or len(block.text) > len(begin.name) + LONGEST:
            fields.setdefault("status", "read")
    elif kind in ("post", "project") and "url" in begin.identifiers:
        fields["url"] = begin.identifiers["url"]
    elif kind == "term":
        name, aliases = parted_name(begin.name)
        fields["title"] = name
        if aliases:
            fields["aliases"] = list(aliases)
    return {**fields, **_dated(kind, period or (find_period(begin.name) if kind in ("meeting", "project") else None))}


def _of_kind(kind: str, title: str, text: str, trail: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if kind == "paper":
        if trail:
            fields["topics"] = list(trail)
        status = next(filter(None, map(status_named, reversed(trail))), None)
        if status:
            fields["status"] = status
    elif kind == "term":
        definition = definition_in(text)
        if definition:
            fields["definition"] = definition
    elif kind == "meeting":
        match = _WITH.search(title)
        if match:
            fields["with"] = tidy(_ASIDE.sub(lambda aside: "" if find_period(aside[0]) else aside[0], match["whom"]))
        # What was public in the source stays public, though a new meeting is private.
        fields["private"] = False
    return fields


def _dated(kind: str, period: Period | None) -> dict[str, Any]:
    if period is None:
        return {}
    if kind == "log":
        return {"period": _shown(period), "date": period.start}
    if kind == "achievement":
        return {"quarter": period.quarter, "date": period.start}
    return {"period": _shown(period)} if kind == "project" else {"date": period.start} if kind == "meeting" else {}


def _shown(period: Period) -> str:
    """Return the words of a period; those of an id spelled as words again."""
    if " " in period.words or period.words.isdigit():
        return period.words
    words = period.words.split("-")
    if len(words) == 2 and not words[0].isdigit():
        return f"{words[0].capitalize()} {words[1]}"
    ends = [f"{day:%b %Y}" for day in (period.start, period.end)]
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)
