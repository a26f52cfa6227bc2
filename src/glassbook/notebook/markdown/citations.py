"""Citations: `[@key]`, `[@key, section 3]`, `[@one; @other, page 4]`."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_KEY = r"@(?P<key>\w(?:[\w:.+/-]{0,98}\w)?)"
_CITATION = re.compile(r"\[@[^\[\]]{1,1000}+\](?![(\[])")
_ITEM = re.compile(rf"\s*{_KEY}\s*(?:,\s*(?P<locator>.*\S))?\s*", re.DOTALL)


def add_citations(parser: MarkdownIt) -> None:
    """Let `parser` read citations as tokens `citation`, whose `meta` holds pairs of key and locator."""
    parser.inline.ruler.before("link", "citation", read)


def read(state: StateInline, silent: bool) -> bool:
    """Read the citations between one pair of brackets."""
    match = _CITATION.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    items = [_ITEM.fullmatch(part) for part in match[0][1:-1].split(";")]
    if not all(items):
        return False
    if not silent:
        token = state.push("citation", "", 0)
        cited = [(item["key"], " ".join((item["locator"] or "").split())) for item in items if item]
        token.meta = {"items": cited, "offset": state.pos}
    state.pos = match.end()
    return True
