"""How links, pictures, citations and live pieces are written."""

from difflib import get_close_matches
from functools import partial
from html import escape
from typing import cast
from urllib.parse import unquote, urlsplit

from markdown_it.token import Token

from glassbook.notebook.markdown.addresses import find_file, sort_address
from glassbook.notebook.markdown.live_pieces import KINDS
from glassbook.notebook.markdown.page import Waiting
from glassbook.notebook.markdown.plain import plain
from glassbook.notebook.markdown.resolving import Live, Target
from glassbook.notebook.markdown.writer import Rule, Writer, tag


def open_link(writer: Writer, token: Token) -> str:
    """Write where `[text](address)` begins."""
    return begin_link(writer, str(token.attrs.get("href", "")), str(token.attrs.get("title", "")), token)


def begin_link(writer: Writer, href: str, title: str, token: Token) -> str:
    """Return the opening of a link to `href`, of whatever kind it is, and remember how it closes."""
    page, line = writer.page, writer.page.line(token.meta.get("offset", 0))
    address = sort_address(href)
    extra = {"title": title} if title else {}
    writer.closers.append("</a>")
    if address.kind == "abroad":
        return tag("a", class_="abroad", href=address.href, **extra)
    if address.kind == "here":
        page.local_links.append((unquote(address.href[1:]), line))
        return tag("a", href=address.href, **extra)
    target = find_file(page, address.href, line) if address.kind == "file" else None
    if target is not None:
        return _to_target(writer, target, token, line, extra)
    label = str(token.meta.get("label", ""))
    page.missing(href, label, line)
    said = f' <span class="address">({escape(href)})</span>' if href not in ("", label) else ""
    writer.closers[-1] = f"{said}</span>"
    return '<span class="unresolved">'


def _to_target(writer: Writer, target: Target, token: Token, line: int, extra: dict[str, str]) -> str:
    if not target.slug:
        return tag("a", href=target.href, **extra)
    _mention(writer, target, _anchor(target.href), token, line)
    return tag("a", class_="entry", href=target.href, data_entry=target.slug, **extra)


def _anchor(href: str) -> str:
    """Return the id to which an address leads, without words that the browser looks for by itself."""
    return unquote(href.partition("#")[2]).partition(":~:")[0]


def _mention(writer: Writer, target: Target, anchor: str, token: Token, line: int) -> None:
    block = writer.page.block or token
    writer.page.mentions.append(Waiting(target.slug, anchor, token, block, line))


def close_link(writer: Writer, token: Token) -> str:
    """Write where a link ends."""
    return writer.closers.pop()


def open_wiki_link(writer: Writer, token: Token) -> str:
    """Write where `[[target]]` begins, and without words of its own the whole text that it shows."""
    name, anchor, line = token.meta["name"], token.meta["anchor"], writer.page.line(token.meta["offset"])
    writer.closers.append("</a>")
    if not name:
        writer.page.local_links.append((anchor, line))
        return tag("a", href="#" + anchor) + escape(str(token.meta.get("words", "")))
    target = writer.page.ask(lambda: writer.page.resolver.entry(name, anchor), line)
    if target is None:
        return tag("a") + escape(str(token.meta.get("words", "")))
    if token.meta.get("words") == target.slug:
        token.meta["words"] = target.title
    _mention(writer, target, anchor, token, line)
    opened = tag("a", class_="entry", href=target.href, data_entry=target.slug)
    return opened + escape(str(token.meta.get("words", "")))


def write_picture(writer: Writer, token: Token) -> str:
    """Write a picture, with its caption below where it stands alone and has one."""
    src, alt = str(token.attrs.get("src", "")), plain(token.children or ())
    picture = begin_picture(writer, src, alt, token)
    caption: Token | None = token.meta.get("caption")
    if caption is None:
        return picture
    return f"<figure>{picture}<figcaption>{writer.within().inline(caption)}</figcaption></figure>"


def begin_picture(writer: Writer, src: str, alt: str, token: Token) -> str:
    """Return the picture at `src`: our own file, a view of a run, or a card that leads to what lies elsewhere."""
    page, line = writer.page, writer.page.line(token.meta.get("offset", 0))
    if src.startswith("view:"):
        piece = page.ask(lambda: page.resolver.picture(unquote(src.removeprefix("view:"))), line)
        token.meta["words"] = piece.text if piece else alt
        return page.keep(piece.html) if piece else ""
    address = sort_address(src)
    title = {"title": str(token.attrs["title"])} if token.attrs.get("title") and "caption" not in token.meta else {}
    if address.kind == "abroad":
        host = urlsplit(address.href).hostname or address.href
        card = f'{escape(alt or "Picture")} <span class="address">{escape(host)}</span>'
        return f"{tag('a', class_='remote-picture', href=address.href, **title)}{card}</a>"
    target = find_file(page, address.href, line) if address.kind == "file" else None
    if target is not None:
        return tag("img", src=target.href, alt=alt, loading="lazy", decoding="async", **title)
    page.missing(src, alt, line)
    return (
        f'<span class="unresolved">{escape(alt or "Picture")} <span class="address">({escape(src[:200])})</span></span>'
    )


def write_citation(writer: Writer, token: Token) -> str:
    """Write the sources between one pair of brackets."""
    page, line = writer.page, writer.page.line(token.meta["offset"])
    shown: list[str] = []
    said: list[str] = []
    for key, locator in token.meta["items"]:
        cited = page.ask(partial(page.resolver.citation, key), line)
        if cited is None:
            continue
        where = f", {locator}" if locator else ""
        said.append(cited.short + where)
        shown.append(
            f"{tag('a', class_='cite', href=cited.href, data_cite=key)}{escape(cited.short)}</a>{escape(where)}"
        )
        page.cited.setdefault(key)
    token.meta["words"] = f"({'; '.join(said)})"
    return f'<span class="citation">({"; ".join(shown)})</span>'


def write_live(writer: Writer, token: Token) -> str:
    """Write what `{{claim key}}` and its kin stand for."""
    page, line = writer.page, writer.page.line(token.meta["offset"])
    what, key = token.meta["what"], token.meta["key"]
    if what not in KINDS:
        near = (get_close_matches(what.lower(), KINDS, n=1) or KINDS)[0]
        page.fault(
            f"no live piece is called '{what}'; did you mean '{near}'? Plain text goes between backticks",
            line,
        )
        return ""
    piece = page.ask(lambda: page.resolver.live(cast(Live, what), key), line)
    token.meta["words"] = piece.text if piece else ""
    if piece is None:
        return ""
    if "alone" not in token.meta or what != "claim":
        return page.keep(piece.html)
    return page.keep(piece.block) if piece.block else f"<p>{page.keep(piece.html)}</p>"


def write_number(writer: Writer, token: Token) -> str:
    """Write a number that leads to the run which measured it."""
    page, line = writer.page, writer.page.line(token.meta["offset"])
    place, _, field = token.meta["place"].partition("#")
    piece = page.ask(lambda: page.resolver.number(place, field, token.content), line)
    token.meta["words"] = piece.text if piece else token.content
    return page.keep(piece.html) if piece else ""


def write_formula(writer: Writer, token: Token) -> str:
    """Write a formula within a paragraph."""
    return writer.page.formula(token.content, token.meta["display"], writer.page.line(token.meta["offset"]))


RULES: dict[str, Rule] = {
    "link_open": open_link,
    "link_close": close_link,
    "wiki_open": open_wiki_link,
    "wiki_close": close_link,
    "image": write_picture,
    "citation": write_citation,
    "live": write_live,
    "number": write_number,
    "maths": write_formula,
}
