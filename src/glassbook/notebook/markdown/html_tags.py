"""How the raw HTML of a text is written again: allowed tags with allowed attributes, links and pictures like all others."""

import re
from collections.abc import Sequence
from html import escape, unescape

from markdown_it.token import Token

from glassbook.notebook.markdown.headings import slug
from glassbook.notebook.markdown.links import begin_link, begin_picture
from glassbook.notebook.markdown.page import Page
from glassbook.notebook.markdown.raw_html import (
    EMBEDDED,
    SECTIONING,
    VOID,
    Event,
    Tag,
    balance_blocks,
    balance_inline,
    never_closed,
)
from glassbook.notebook.markdown.writer import Rule, Writer, tag

_EVERYWHERE = ("title", "lang", "dir")
_OWN = {
    "details": ("open",),
    "ol": ("start",),
    "td": ("colspan", "rowspan"),
    "th": ("colspan", "rowspan", "scope"),
}
_TEXT = re.compile(r"[<>]")


def prepare(page: Page, tokens: Sequence[Token]) -> None:
    """Read and balance all raw HTML of a page, and set aside the ids in it, which headings must not take."""
    balance_blocks(tokens)
    for token in tokens:
        if token.type == "inline" and token.children:
            _prepare_inline(page, token)
        elif token.type == "html_block":
            _reserve(page, token)


def _prepare_inline(page: Page, block: Token) -> None:
    children = block.children or []
    if any(child.type == "html_inline" for child in children):
        block.children = children = balance_inline(children)
    for child in children:
        if child.type == "html_inline":
            _reserve(page, child)
        elif "caption" in child.meta:
            _prepare_inline(page, child.meta["caption"])


def _reserve(page: Page, token: Token) -> None:
    for found in ids_of(token):
        page.ids.reserve(found)


def ids_of(token: Token) -> list[str]:
    """Return the ids that the raw HTML of a token gives, those of the old `<a name=…>` among them."""
    events: list[Event] = token.meta.get("events", [])
    return [found for event in events if isinstance(event, Tag) and (found := _id(event))]


def _id(event: Tag) -> str:
    return "-".join((event.get("id") or (event.get("name") if event.name == "a" else "")).split())


def write_block(writer: Writer, token: Token) -> str:
    """Write a block of HTML; one that takes the rest of the page for its own is a fault."""
    before, writer.page.block = writer.page.block, token
    unclosed = never_closed(token.content)
    if unclosed:
        writer.page.fault(
            f"'{unclosed}' is never closed, so the text after it would not be seen; close it", writer.page.line()
        )
    html = _write(writer, token)
    token.meta["words"] = _words(token.meta["events"])
    writer.page.block = before
    return html + "\n"


def write_inline(writer: Writer, token: Token) -> str:
    """Write the tags of HTML within a paragraph."""
    if any(isinstance(event, Tag) and event.name == "br" for event in token.meta["events"]):
        token.meta["words"] = "\n"
    return _write(writer, token)


def _write(writer: Writer, token: Token) -> str:
    events: list[Event] = token.meta["events"]
    out: list[str] = []
    for number, event in enumerate(events):
        if isinstance(event, str):
            # Entities stay what they are; a bracket that belongs to no tag is text.
            out.append(_TEXT.sub(lambda found: escape(found[0]), event))
        elif event.closing:
            out.append(writer.closers.pop())
        else:
            text = _words(_until_closed(events, number)) if event.name in SECTIONING else ""
            out.append(_open(writer, event, token, text))
    return "".join(out)


def _open(writer: Writer, event: Tag, token: Token, heading: str) -> str:
    """Return an opening tag as the page may show it, and remember how it closes."""
    page, name = writer.page, event.name
    written = {key: event.get(key) for key in _EVERYWHERE if event.get(key)}
    found = _id(event)
    if found and page.ids.meet(found):
        written["id"] = found
    if name in SECTIONING:
        written["id"] = written.get("id") or page.ids.make(slug(heading))
        page.headings.append((int(name[1]), written["id"], heading))
    if name == "a" and event.get("href"):
        return _anchor(written) + begin_link(writer, event.get("href"), event.get("title"), token)
    if name == "img":
        return _anchor(written) + begin_picture(writer, event.get("src"), event.get("alt"), token)
    if name in EMBEDDED:
        return _anchor(written) + _embedded(writer, event, token)
    if name not in VOID:
        writer.closers.append(f"</{name}>")
    own = {key: event.get(key) for key in _OWN.get(name, ()) if any(key == known for known, _ in event.attributes)}
    return tag(name, **written, **own)


def _anchor(written: dict[str, str]) -> str:
    """Return a place for the id of a tag that is written as something else."""
    return f"{tag('span', id=written['id'])}</span>" if "id" in written else ""


def _embedded(writer: Writer, event: Tag, token: Token) -> str:
    """Return a link to what would have been embedded, before the text that stands in for it."""
    address = event.get(EMBEDDED[event.name])
    writer.closers.append("")
    if not address:
        return ""
    shown = escape(event.get("title") or event.get("aria-label") or address)
    return f"{begin_link(writer, address, '', token)}{shown}{writer.closers.pop()} "


def _until_closed(events: Sequence[Event], number: int) -> Sequence[Event]:
    """Return what lies between the heading at `number` and its end, the next heading or the end of the block."""
    for later in range(number + 1, len(events)):
        event = events[later]
        if isinstance(event, Tag) and event.name in SECTIONING:
            return events[number + 1 : later]
    return events[number + 1 :]


def _words(events: Sequence[Event]) -> str:
    """Return the plain words of raw HTML."""
    return " ".join(unescape(" ".join(event for event in events if isinstance(event, str))).split())


RULES: dict[str, Rule] = {"html_block": write_block, "html_inline": write_inline}
