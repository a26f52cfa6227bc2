"""The parser of foreign pages: CommonMark with tables, notes and formulas, and what it meets in paragraphs, with its place."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, html_inline, image, link
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote.index import footnote_def, footnote_inline

from glassbook.notebook.markdown import citations, live_pieces, wiki_links
from glassbook.notebook.markdown.footnotes import read_reference
from glassbook.notebook.markdown.maths import add_maths
from glassbook.notebook.markdown.parser import MAX_NESTING

Rule = Callable[[StateInline, bool], bool]
_FOREIGN = (wiki_links.read, citations.read, live_pieces.read)


@dataclass(frozen=True, slots=True)
class Met:
    """Something met at `start` of the text of a block: an address, a tag, or what only the notebook would read."""

    kind: Literal["link", "image", "tag", "foreign"]
    block: Token
    start: int
    raw: str
    shown: str = ""


@cache
def foreign_parser() -> MarkdownIt:
    """Return the parser; what it meets is appended to `env["met"]` where there is such a list."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING, "store_labels": True})
    parser.enable(["table", "strikethrough"])
    deflist_plugin(parser)
    parser.block.ruler.before("reference", "footnote_def", footnote_def, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.after("image", "footnote_inline", _watched_note)
    parser.inline.ruler.before("link", "footnote_ref", read_reference)
    add_maths(parser)
    parser.core.ruler.at("inline", _read_blocks)
    parser.inline.ruler.at("link", _watched(link, "link"))
    parser.inline.ruler.at("image", _watched(image, "image"))
    parser.inline.ruler.at("html_inline", _watched_tag)
    parser.inline.ruler.before("footnote_ref", "foreign", _watch_foreign)
    return parser


def _read_blocks(state: StateCore) -> None:
    for token in state.tokens:
        if token.type == "inline":
            state.env["block"] = token
            token.children = []
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _in_block(state: StateInline) -> tuple[Token, int] | None:
    """Return the block whose text is read and where in it this text begins; None for the text of a picture."""
    if "met" not in state.env or "block" not in state.env:
        return None
    block: Token = state.env["block"]
    if state.src == block.content:
        return block, 0
    note, start = state.env.get("inline note", ("", 0))
    return (block, start) if state.src == note else None


def _add(state: StateInline, where: tuple[Token, int], kind: Any, span: tuple[int, int], shown: str = "") -> None:
    block, before = where
    state.env["met"].append(Met(kind, block, before + span[0], state.src[slice(*span)], shown))


def _watched(rule: Rule, kind: Literal["link", "image"]) -> Rule:
    def read(state: StateInline, silent: bool) -> bool:
        where = None if silent or state.src[state.pos] not in "[!" else _in_block(state)
        start = state.pos
        if not rule(state, silent):
            return False
        found = _destination(state, start, kind) if where else None
        if where and found and found[1] <= state.pos:
            _add(state, where, kind, found[:2], found[2])
        return True

    return read


def _destination(state: StateInline, begun: int, kind: str) -> tuple[int, int, str] | None:
    """Return where the destination of a link that begins at `begun` begins and ends, and the text of its label."""
    opened = begun + (kind == "image")
    if state.src[opened : opened + 1] != "[":
        return None
    after, state.pos = state.pos, begun
    label = state.md.helpers.parseLinkLabel(state, opened, kind == "link")
    state.pos = after
    if label < 0 or state.src[label + 1 : label + 2] != "(":
        return None
    start = label + 2
    while start < state.posMax and state.src[start] in " \t\n":
        start += 1
    found = state.md.helpers.parseLinkDestination(state.src, start, state.posMax)
    return (start, found.pos, state.src[opened + 1 : label]) if found.ok and found.pos > start else None


def _watched_tag(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if not html_inline(state, silent):
        return False
    where = None if silent else _in_block(state)
    if where:
        _add(state, where, "tag", (start, state.pos))
    return True


def _watched_note(state: StateInline, silent: bool) -> bool:
    """Read `^[a note]` and remember where its text begins while that is read."""
    if state.src[state.pos : state.pos + 2] != "^[":
        return False
    where = None if silent else _in_block(state)
    if where:
        at = state.pos
        end = state.md.helpers.parseLinkLabel(state, at + 1)
        state.pos = at
        state.env["inline note"] = state.src[at + 2 : max(end, at + 2)], where[1] + at + 2
    return footnote_inline(state, silent)


def _watch_foreign(state: StateInline, silent: bool) -> bool:
    """Note what the notebook would read here, and read nothing."""
    where = None if silent or state.src[state.pos] not in "[{" else _in_block(state)
    if where:
        start = state.pos
        if any(read(state, True) for read in _FOREIGN):
            _add(state, where, "foreign", (start, state.pos))
        state.pos = start
    return False
