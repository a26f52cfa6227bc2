"""What a site holds beside its pages: the names for its search, the feed, the map for other programs' searches, its assets."""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

from glassbook.notebook.entries import Entry
from glassbook.notebook.site.cards import Shelf, kind_of
from glassbook.notebook.site.dressing import absolute
from glassbook.notebook.site.texts import Text

_ATOM = "http://www.w3.org/2005/Atom"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_IN_FEED = 30
_NEEDS_MATHS = "katex"
_UNWRITABLE = dict.fromkeys(code for code in range(32) if chr(code) not in "\t\n")
_NOT_SERVED = ("SOURCES.md", "katex.min.js")


def names_script(shelf: Shelf, texts: Mapping[str, Text]) -> str:
    """Return the names of all entries as a script, which works where nothing may be fetched: from a folder."""
    names = [
        {
            "name": entry.title,
            "href": entry.address,
            "kind": kind_of(entry),
            "aliases": list(entry.aliases),
            "definition": entry.definition,
            "headings": [{"text": one.text, "id": one.id} for one in texts[entry.slug].rendered.contents],
        }
        for entry in shelf.entries
        if not entry.is_home
    ]
    # A script's text ends at the first "</script", and two separators end a line in a script and not in JSON.
    told = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        told = told.replace(char, f"\\u{ord(char):04x}")
    return f"window.glassbookNames = {told};\n"


def feed(shelf: Shelf) -> str:
    """Return the newest entries as an Atom feed (RFC 4287); the notebook needs an address for it."""
    settings = shelf.notebook.settings
    dated = sorted(
        ((max(shelf.came(entry), shelf.changed(entry)), entry) for entry in shelf.entries if not entry.is_home),
        key=lambda pair: (pair[0], pair[1].slug),
        reverse=True,
    )
    shown = [(day, entry) for day, entry in dated if day][:_IN_FEED]
    root = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": settings.language})
    _text(root, "id", absolute(settings.address, ""))
    _text(root, "title", settings.title)
    if settings.description:
        _text(root, "subtitle", settings.description)
    _text(root, "updated", _moment(shown[0][0] if shown else "1970-01-01"))
    ElementTree.SubElement(root, "link", {"rel": "self", "href": absolute(settings.address, "feed.xml")})
    ElementTree.SubElement(root, "link", {"href": absolute(settings.address, "")})
    _text(ElementTree.SubElement(root, "author"), "name", settings.author or settings.title)
    for day, entry in shown:
        _feed_entry(ElementTree.SubElement(root, "entry"), settings.address, day, shelf.came(entry), entry)
    return _xml(root)


def _feed_entry(root: ElementTree.Element, address: str, day: str, came: str, entry: Entry) -> None:
    _text(root, "id", absolute(address, entry.address))
    _text(root, "title", entry.title)
    _text(root, "updated", _moment(day))
    _text(root, "published", _moment(came or day))
    ElementTree.SubElement(root, "link", {"href": absolute(address, entry.address)})
    _text(root, "summary", entry.definition or entry.title)


def sitemap(address: str, pages: Iterable[str]) -> str:
    """Return the addresses of all pages for programs that search the world."""
    root = ElementTree.Element("urlset", {"xmlns": _SITEMAP})
    for page in sorted(pages):
        if page != "404.html":
            _text(ElementTree.SubElement(root, "url"), "loc", absolute(address, "" if page == "index.html" else page))
    return _xml(root)


def assets(with_maths: bool) -> Iterator[tuple[str, Path]]:
    """Yield the address and the file of every script, style and font of the site; those of formulas only where there are any."""
    own = Path(str(files("glassbook.notebook").joinpath("assets")))
    for path in sorted(own.rglob("*")):
        place = path.relative_to(own)
        if path.is_file() and path.name not in _NOT_SERVED and (with_maths or place.parts[0] != _NEEDS_MATHS):
            yield f"assets/{place.as_posix()}", path
    yield "assets/theme.css", Path(str(files("glassbook.views").joinpath("theme.css")))


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    # XML has no way to write most control characters.
    ElementTree.SubElement(parent, name).text = text.translate(_UNWRITABLE)


def _moment(day: str) -> str:
    return f"{day}T00:00:00Z"


def _xml(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
