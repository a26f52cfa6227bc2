"""What a text holds, as a multiset: its sentences, links, pictures, emphasis, ids, notes, formulas, code, comments and tags."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from markdown_it.common.normalize_url import normalizeLink
from markdown_it.token import Token

from glassbook.notebook.importing.dialect import Page
from glassbook.notebook.importing.outline import Heading
from glassbook.notebook.importing.tags import COMMENT, LEADS_AWAY, TAG, attributes, is_id

Atom = tuple[str, ...]
Address = Callable[[str], str]

_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_PAIRS = {"em_open": "emphasis", "strong_open": "strong emphasis", "s_open": "struck text", "link_open": "link"}
_CODE = ("fence", "code_block", "maths_block")


def atoms(page: Page, address: Address) -> Counter[Atom]:
    """Return how often a page holds what; `address` says how an address of it is to be compared."""
    tokens = page.tokens
    found: Counter[Atom] = Counter()
    # A footnote or a link definition that several entries use stands in each of them, so it is counted once.
    once: set[Atom] = {("definition", label, address(normal(href))) for label, href in page.defined.items()}
    unread = {id(token) for token in page.unread_notes()}
    note: list[str | None] = []
    spelled = ""  # the label of a footnote that nothing refers to, which is text before its first paragraph
    for index, token in enumerate(tokens):
        if token.type == "footnote_reference_open":
            is_read = id(token) not in unread
            note.append(token.meta["label"] if is_read else None)
            spelled += "" if is_read else f"[^{token.meta['label']}]: "
        elif token.type == "footnote_reference_close":
            note.pop()
        elif any(note):
            once.update(("note", str(note[-1]), *atom) for atom in _of_token(tokens, index, address, ""))
        else:
            found.update(_of_token(tokens, index, address, spelled))
            spelled = "" if token.type == "inline" else spelled
    return found + Counter(dict.fromkeys(once, 1))


def of_title(title: str) -> Counter[Atom]:
    """Return the sentences of a heading that became a title."""
    return Counter(_sentences(title))


def of_id(name: str) -> Atom:
    """Return the atom of an id."""
    return ("id", name)


@lru_cache(maxsize=1 << 14)
def normal(address: str) -> str:
    """Return the one spelling of an address, however its characters were escaped."""
    return normalizeLink(html.unescape(address.strip()))


def _of_token(tokens: list[Token], index: int, address: Address, before: str) -> Iterator[Atom]:
    token = tokens[index]
    if token.type == "inline":
        is_heading = index > 0 and tokens[index - 1].type == "heading_open"
        yield from _of_inline(token, address, is_heading, before)
    elif token.type in _CODE:
        yield (
            token.type,
            token.info.strip(),
            "\n".join(line.rstrip() for line in token.content.strip("\n").split("\n")),
        )
    elif token.type == "html_block":
        yield from _of_html(token.content, address)
        text = TAG.sub(" ", COMMENT.sub(" ", token.content))
        yield from _sentences(html.unescape(text))
    elif token.type == "hr":
        yield ("rule",)


def _of_inline(token: Token, address: Address, is_heading: bool, before: str = "") -> Iterator[Atom]:
    children = token.children or []
    text = _text(children)
    if is_heading:
        given = Heading(1, 0, 1, token.content, tuple(children)).given_id
        if given:
            yield of_id(given)
            text = text[: text.rindex("{")]
    yield from _sentences(before + text)
    yield from _marks(children, address)


def _marks(children: list[Token], address: Address) -> Iterator[Atom]:
    """Yield the links, pictures, emphasis, formulas, notes and tags within a paragraph."""
    for index, child in enumerate(children):
        if child.type in _PAIRS:
            inside = _squeezed(_text(_until_close(children, index)))
            where = (address(normal(str(child.attrs["href"]))), _title(child)) if child.type == "link_open" else ()
            yield (_PAIRS[child.type], *where, inside)
        elif child.type == "image":
            alt = _squeezed(_text(child.children or []))
            yield ("image", address(normal(str(child.attrs["src"]))), _title(child), alt)
            yield from _marks(child.children or [], address)
        elif child.type == "code_inline":
            yield ("code", child.content)
        elif child.type == "maths":
            yield ("maths", _squeezed(child.content), str(child.meta["display"]))
        elif child.type == "footnote_ref":
            yield ("reference to a note", str(child.meta.get("label", "^")))
            if "inline" in child.meta:
                yield from _of_inline(child.meta["inline"], address, False)
        elif child.type == "html_inline":
            yield from _of_html(child.content, address)


def _of_html(text: str, address: Address) -> Iterator[Atom]:
    for comment in COMMENT.findall(text):
        yield ("comment", _squeezed(comment.removeprefix("<!--").removesuffix("-->")))
    for tag in TAG.finditer(COMMENT.sub("", text)):
        if tag["close"]:
            continue
        name = tag["name"].lower()
        if name not in ("span", "a"):
            yield ("tag", name)
        for key, value, _ in attributes(tag["attributes"]):
            if is_id(name, key):
                yield of_id(value)
            elif key in LEADS_AWAY:
                yield ("address", key, address(normal(value)))
            else:
                yield ("attribute", key, value)


def _until_close(children: list[Token], index: int) -> list[Token]:
    opened = children[index]
    for at in range(index + 1, len(children)):
        if children[at].nesting == -1 and children[at].level == opened.level and children[at].tag == opened.tag:
            return children[index + 1 : at]
    return children[index + 1 :]


def _text(children: list[Token]) -> str:
    parts = []
    for child in children:
        if child.type in ("text", "text_special", "code_inline", "maths"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts)


def _title(token: Token) -> str:
    return _squeezed(str(token.attrs.get("title", "")))


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _sentences(text: str) -> Iterator[Atom]:
    for sentence in _SENTENCES.split(_squeezed(text)):
        if sentence:
            yield ("sentence", sentence)
