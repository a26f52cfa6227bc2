"""A foreign page as its author's renderer read it, and where each link, picture and id of it stands in the source.

It is the notebook's Markdown without what only the notebook understands: `[[…]]`, `[@…]` and `{{…}}` are plain text here.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from markdown_it.common.utils import unescapeAll
from markdown_it.token import Token

from glassbook.notebook.importing.tags import COMMENT, LEADS_AWAY, TAG, attributes, is_id
from glassbook.notebook.importing.watching import Met, foreign_parser

Kind = Literal["link", "image", "href", "src", "definition"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a page names an address: what was written from `start` to `end` of the body, and what it means."""

    kind: Kind
    start: int
    end: int
    address: str
    line: int
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """An explicit id of the page and the line of the body where it stands."""

    id: str
    line: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """Text that only the notebook would take for a link, a citation or a live part."""

    start: int
    text: str
    line: int


@dataclass(slots=True)
class Page:
    """A parsed body: its lines, its tokens, and what was found on the way; lines count from 0."""

    body: str
    lines: list[str]
    tokens: list[Token]
    references: list[Reference] = field(default_factory=list)
    names: list[Named] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    definitions: dict[str, tuple[int, int]] = field(default_factory=dict)
    defined: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[Token]:
        """Return what opens each footnote, in the order of the page."""
        return [token for token in self.tokens if token.type == "footnote_reference_open"]

    def unread_notes(self) -> list[Token]:
        """Return what opens each footnote that nothing refers to, or whose label another has before it."""
        return unread_notes(self.tokens)


def parse(body: str) -> Page:
    """Return the page whose text is `body`."""
    environment: dict[str, Any] = {"met": []}
    tokens = foreign_parser().parse(body, environment)
    page = Page(body, body.split("\n"), tokens)
    _keep_inline_notes(tokens, environment)
    place = _Places(page)
    for met in environment["met"]:
        _note(met, page, place)
    for token in _blocks_of_html(tokens):
        start, end = (place.starts[line] for line in token.map or (0, 0))
        _note_tags(page, body[start:end], start, place)
    for label, definition in environment.get("references", {}).items():
        first, last = definition["map"]
        page.definitions[label] = first, last
        page.defined[label] = str(definition["href"])
        _note_definition(page, (first, last), place)
    page.references.sort(key=lambda reference: reference.start)
    page.names.sort(key=lambda name: name.line)
    return page


def _keep_inline_notes(tokens: list[Token], environment: Mapping[str, Any]) -> None:
    """Put the text of every `^[note]` into the token that refers to it."""
    notes = environment.get("footnotes", {}).get("list", {})
    for token in tokens:
        for child in token.children or ():
            if child.type == "footnote_ref" and "label" not in child.meta:
                note = notes[child.meta["id"]]
                child.meta["inline"] = Token("inline", "", 0, content=note["content"], children=note["tokens"])


def unread_notes(tokens: list[Token]) -> list[Token]:
    """Return what opens each footnote that nothing refers to, or whose label another has before it."""
    asked = {label for token in tokens for label in note_labels(token)}
    seen: set[str] = set()
    unread = []
    for token in tokens:
        if token.type == "footnote_reference_open":
            label = token.meta["label"]
            if label not in asked or label in seen:
                unread.append(token)
            seen.add(label)
    return unread


def note_labels(token: Token) -> list[str]:
    """Return the labels of the footnotes that a paragraph refers to."""
    children = token.children or ()
    return [child.meta["label"] for child in children if child.type == "footnote_ref" and "label" in child.meta]


def definition_labels(token: Token) -> list[str]:
    """Return the labels of the link definitions that a paragraph uses."""
    children = token.children or ()
    return [child.meta["label"] for child in children if child.type in ("link_open", "image") and "label" in child.meta]


def _note_tags(page: Page, text: str, start: int, place: "_Places") -> None:
    """Note the addresses and ids of the tags in `text`, which begins at offset `start` of the body."""
    hidden = COMMENT.sub(lambda match: " " * len(match[0]), text)
    for tag in TAG.finditer(hidden):
        offset = start + tag.start("attributes")
        for name, value, (first, last) in attributes(tag["attributes"]):
            line = place.line(offset + first)
            if name in LEADS_AWAY:
                kind: Kind = "src" if LEADS_AWAY[name] == "src" else "href"
                page.references.append(Reference(kind, offset + first, offset + last, value.strip(), line))
            elif is_id(tag["name"], name) and value:
                page.names.append(Named(value, line))


class _Places:
    """From a place in the text of a block to a place in the body."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.starts = [0]
        for line in page.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        # The last cell that was found in a row of a table, and where: cells stand in the order in which they are read.
        self._cells: dict[int, tuple[Token, int, int]] = {}

    def line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def find(self, block: Token, position: int) -> int | None:
        """Return the offset in the body of a position in the text of a block, if that text stands there word for word."""
        if block.map is None:
            return None
        before = block.content[:position]
        line = block.map[0] + before.count("\n")
        begin = before.rfind("\n") + 1
        end = block.content.find("\n", begin)
        wanted = block.content[begin : end if end >= 0 else None].rstrip()
        if line >= len(self.page.lines):
            return None
        source = self.page.lines[line]
        if source.rstrip().endswith(wanted):
            return self.starts[line] + len(source.rstrip()) - len(wanted) + position - begin
        return self._find_in_row(block, line, wanted, position - begin)

    def _find_in_row(self, block: Token, line: int, wanted: str, position: int) -> int | None:
        """Return the offset in the body of a position in a cell of a table, or in a heading that closes with signs."""
        source, spelled = self.page.lines[line], wanted.replace("|", "\\|")
        cell, column, end = self._cells.get(line) or (None, 0, 0)
        if cell is not block:
            column = source.find(spelled, end)
            if column < 0:
                return None
            self._cells[line] = block, column, column + len(spelled)
        return self.starts[line] + column + position + wanted.count("|", 0, position)


def _note(met: Met, page: Page, place: _Places) -> None:
    at = place.find(met.block, met.start)
    if at is None:
        return
    if met.kind == "tag":
        _note_tags(page, met.raw, at, place)
    elif met.kind == "foreign":
        page.foreign.append(Foreign(at, met.raw, place.line(at)))
    else:
        end = at + len(met.raw)
        page.references.append(Reference(met.kind, at, end, written(met.raw), place.line(at), met.shown))


def written(raw: str) -> str:
    """Return the address that a Markdown destination means."""
    return unescapeAll(raw[1:-1] if raw.startswith("<") and raw.endswith(">") else raw)


def _note_definition(page: Page, lines: tuple[int, int], place: _Places) -> None:
    """Note the address of one definition `[label]: address "title"`."""
    start, end = place.starts[lines[0]], place.starts[lines[1]]
    text = page.body[start:end]
    match = re.search(r"\]:\s*(<[^<>\n]*>|\S+)", text)
    if match:
        at = start + match.start(1)
        reference = Reference("definition", at, at + len(match[1]), written(match[1]), place.line(at))
        page.references.append(reference)


def _blocks_of_html(tokens: list[Token]) -> Iterator[Token]:
    return (token for token in tokens if token.type == "html_block")
