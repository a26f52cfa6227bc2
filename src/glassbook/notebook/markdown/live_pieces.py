"""Live pieces: `{{claim key}}`, `{{view run/name}}` and `{{study key}}`, within a sentence or alone on a line."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

KINDS = ("claim", "view", "study")
_PIECE = re.compile(r"\{\{[ \t]*(?P<what>[A-Za-z]{1,40}+)[ \t]+(?P<key>[^{}\n]{1,400}+)\}\}")


def add_live_pieces(parser: MarkdownIt) -> None:
    """Let `parser` read live pieces as tokens `live`; whether the word before the key is known is asked when rendering."""
    parser.inline.ruler.before("link", "live", read)


def read(state: StateInline, silent: bool) -> bool:
    """Read one live piece."""
    match = _PIECE.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        token = state.push("live", "", 0)
        token.content = match[0]
        token.meta = {"what": match["what"], "key": match["key"].strip(), "offset": state.pos}
    state.pos = match.end()
    return True
