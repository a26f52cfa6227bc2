"""Where a link or a picture leads, as the page may show it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from glassbook.notebook.markdown.page import Page
from glassbook.notebook.markdown.resolving import Target

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f]+")
_ABROAD = ("http", "https", "mailto")


@dataclass(frozen=True, slots=True)
class Address:
    """An address sorted: `abroad` on another site, `here` on this page, `file` beside it, `nowhere` what no page links to."""

    kind: str
    href: str


def sort_address(written: str) -> Address:
    """Return what kind of address was written; browsers skip blanks and control characters in one, so they do not count."""
    href = written.strip()
    tight = _INVISIBLE.sub("", href)
    scheme = _SCHEME.match(tight)
    if scheme:
        return Address("abroad" if scheme[1].lower() in _ABROAD else "nowhere", href)
    if tight[:2].replace("\\", "/") == "//":
        return Address("abroad", "https:" + tight.replace("\\", "/"))
    if href.startswith("#"):
        return Address("here", href)
    return Address("file" if tight else "nowhere", href)


def find_file(page: Page, href: str, line: int) -> Target | None:
    """Return the target of a relative address with its place on that page; None where there is none."""
    path, _, fragment = href.partition("#")
    target = page.ask(lambda: page.resolver.file(unquote(path)), line)
    if target is None or not fragment or "#" in target.href:
        return target
    return Target(f"{target.href}#{fragment}", target.title, target.slug, target.definition)
