"""Raw HTML in a page, read no further than the importer must: its tags, their addresses and ids, its comments."""

import html
import re
from collections.abc import Iterator

# No longer tag is read, so that hostile text cannot make this slow.
TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][\w.:-]{0,60}+)(?P<attributes>(?>[^<>\"']|\"[^\"<>]*\"|'[^'<>]*'){0,4000}+)>"
)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
LEADS_AWAY = {"href": "href", "src": "src", "data": "href", "poster": "src"}
"""The attributes that hold an address: those of links, and those of what is shown in the page."""

_ATTRIBUTE = re.compile(
    r"(?P<name>[\w:@.-]{1,60})\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'=<>`]+))"
)


def attributes(tag: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield name, value and the value's span of each attribute that has one; `tag` is what stands after the tag's name."""
    for match in _ATTRIBUTE.finditer(tag):
        group = next(name for name in ("double", "single", "bare") if match[name] is not None)
        yield match["name"].lower(), html.unescape(match[group]), match.span(group)


def is_id(tag: str, attribute: str) -> bool:
    """Return whether this attribute of this tag can be led to by `#…`."""
    return attribute == "id" or (attribute == "name" and tag.lower() == "a")
