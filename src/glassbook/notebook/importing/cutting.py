"""The text of the new entries, cut out of the source line by line; what stays is the page, with links to what went."""

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from glassbook.notebook.importing.carrying import Carried
from glassbook.notebook.importing.deciding import Part
from glassbook.notebook.importing.leads import plain_ids
from glassbook.notebook.importing.outline import Heading, marker
from glassbook.notebook.importing.plan import PagePlan, Planned

BEGIN, END = "<!-- moved -->", "<!-- /moved -->"
"""What stands around the links from an old page to its parts; nothing between them was in the source."""

MOVED = re.compile(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}$\n?", re.MULTILINE | re.DOTALL)
_ATX = re.compile(r"^( {0,3})(#{1,6})(?=[ \t]|$)")
_SPECIAL = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*_{}[]<>#$|~^@!&"}


def cut(plan: PagePlan, lines: Sequence[str], carried: Carried, dedent: bool) -> list[str]:
    """Return the text of each entry of a page, the page itself last.

    `lines` are those of the page with their addresses changed. Without `dedent` a list item stays a list item.
    """
    bodies = []
    for index, entry in enumerate(plan.entries):
        lost = carried.lost.get(index, frozenset())
        kept = _part(plan, entry, lines, lost, dedent) if entry.part is not None else _page(plan, lines, lost)
        parts = [kept, *(_flush(lines[start:end]) for start, end in carried.gained.get(index, ()))]
        bodies.append("\n".join(filter(None, map(_trimmed, parts))))
    return bodies


def _part(plan: PagePlan, entry: Planned, lines: Sequence[str], lost: frozenset[int], dedent: bool) -> list[str]:
    part = entry.part
    if part is None:
        return []
    if part.is_item:
        kept = [lines[at] for at in range(part.start, part.end) if at not in lost]
        return _without_marker(kept) if dedent and marker(kept[0]) else kept
    start, top = part.start, []
    if part.heading is not None and part.kept_ids is not None:
        start = part.heading.end
        top = [_spans(part.kept_ids), ""] if part.kept_ids else []
    raised = _raised(plan, part, lines, start)
    kept = [raised[at - start] for at in range(start, part.end) if at not in lost]
    return top + (_trimmed(kept).split("\n") if top else kept)


def _raised(plan: PagePlan, part: Part, lines: Sequence[str], start: int) -> list[str]:
    """Return the lines of a section with its headings so many levels higher that the first of them is of the second."""
    first = bisect_left(plan.headings, start, key=lambda heading: heading.start)
    last = bisect_left(plan.headings, part.end, key=lambda heading: heading.start)
    inside = plan.headings[first:last]
    kept = list(lines[start : part.end])
    if not inside or not all(_ATX.match(lines[heading.start]) for heading in inside):
        return kept
    by = min(heading.level for heading in inside) - 2
    for heading in inside if by > 0 else []:
        kept[heading.start - start] = _ATX.sub(lambda match: match[1] + match[2][by:], kept[heading.start - start])
    return kept


def _without_marker(lines: list[str]) -> list[str]:
    """Return the content of a list item."""
    first = marker(lines[0])
    if first is None:
        return lines
    before = lines[0][: first.end()].expandtabs(4)
    width = len(before)
    if not lines[0][first.end() :].strip() or width - len(first["indent"] + first["marker"]) > 4:
        width = len(first["indent"] + first["marker"]) + 1
    content = (before + lines[0][first.end() :])[width:]
    return [content, *(_less_indent(line, width) for line in lines[1:])]


def _less_indent(line: str, width: int) -> str:
    rest = line.lstrip(" \t")
    indent = line[: len(line) - len(rest)].expandtabs(4)
    return indent[min(width, len(indent)) :] + rest


def _flush(lines: Sequence[str]) -> list[str]:
    """Return lines without the indent of the first."""
    indent = len(lines[0]) - len(lines[0].lstrip(" "))
    return [_less_indent(line, indent) for line in lines]


def _page(plan: PagePlan, lines: Sequence[str], lost: frozenset[int]) -> list[str]:
    """Return what stays of a page, with links where something was cut out."""
    rest = len(plan.entries) - 1
    kept: list[str] = []
    moved: list[Planned] = []
    at, title = 0, plan.title_heading
    aliases = _aliases(plan)
    while at < len(lines):
        if title is not None and at == title.start:
            kept += _title_ids(plan, title)
            at = title.end
            continue
        owner = plan.owners[at]
        if owner != rest:
            part = plan.entries[owner].part
            moved.append(plan.entries[owner])
            at = part.end if part is not None else at + 1
            continue
        if moved and lines[at].strip():
            kept += _block(_links(plan, moved))
            moved = []
        if at in aliases:
            kept += _block([_anchors(aliases[at])])
        if at not in lost:
            kept.append(lines[at])
        at += 1
    return kept + (_block(_links(plan, moved)) if moved else [])


def _block(lines: list[str]) -> list[str]:
    return ["", BEGIN, *lines, END, ""]


def _links(plan: PagePlan, moved: list[Planned]) -> list[str]:
    """Return a list of links to entries, with the old ids of each and of all within it."""
    lines = []
    for entry in moved:
        part = entry.part
        if part is None:
            continue
        found = entry.anchors
        first = part.heading.end if part.heading is not None else part.start + 1
        own = [anchor.id for anchor in found if anchor.line < first]
        lines.append(f"- {_anchors(own)}[{_literal(entry.title)}]({entry.address})")
        rest: dict[tuple[str, str], list[str]] = {}
        for anchor in found:
            if anchor.line >= first:
                place = plan.place(anchor)[1]
                words = anchor.heading.text if anchor.heading is not None else anchor.id
                rest.setdefault((place, words), []).append(anchor.id)
        for (place, words), ids in rest.items():
            target = f"{entry.address}#{_quoted(place)}" if place else entry.address
            lines.append(f"  - {_anchors(ids)}[{_literal(words) or 'here'}]({target})")
    return lines


def _aliases(plan: PagePlan) -> dict[int, list[str]]:
    """Return the old ids of headings that stay and are called otherwise by the notebook, by the line of their block."""
    aliases: dict[int, list[str]] = {}
    blocks = sorted({token.map[0] for token in plan.page.tokens if token.level == 0 and token.map})
    for anchor in plan.rest.anchors:
        heading = anchor.heading
        if anchor.id in plan.rest.ids or heading is None:
            continue
        if heading != plan.title_heading:
            start = blocks[bisect_right(blocks, heading.start) - 1]
            aliases.setdefault(start if plan.owner(start) is plan.rest else heading.start, []).append(anchor.id)
    return aliases


def _title_ids(plan: PagePlan, heading: Heading) -> list[str]:
    """Return the ids of the heading that became the page's title: its own, and those that renderers gave it."""
    own = plain_ids(heading) or []
    made = [anchor.id for anchor in plan.rest.anchors if anchor.heading == heading and anchor.id not in own]
    return ([_spans(own), ""] if own else []) + (_block([_anchors(made)]) if made else [])


def _spans(ids: Sequence[str]) -> str:
    return "".join(f'<span id="{html.escape(name)}"></span>' for name in ids)


def _anchors(ids: Sequence[str]) -> str:
    return "".join(f'<a id="{html.escape(name)}"></a>' for name in ids)


def _literal(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    return text.translate(_SPECIAL)


def _quoted(place: str) -> str:
    return re.sub(r"[\s()<>\"'\\]", lambda match: f"%{ord(match[0]):02X}", place)


def _trimmed(lines: list[str]) -> str:
    """Return lines as a text without blank lines around it or more than one in a row left by what was cut out."""
    text = "\n".join(lines)
    text = re.sub(rf"\n{{3,}}(?={re.escape(BEGIN)})", "\n\n", text)
    text = re.sub(rf"(?<={re.escape(END)})\n{{3,}}", "\n\n", text)
    text = re.sub(r"^(?:[ \t]*\n)+", "", text).rstrip()
    return text + "\n" if text else ""
