"""Where in its paragraph a link or a picture stands, so that a fault names the right line."""

from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, image, link

Rule = Callable[[StateInline, bool], bool]


def keep_places(parser: MarkdownIt) -> None:
    """Let `parser` note in `meta["offset"]` of links and pictures where they begin in the text of their block."""
    parser.inline.ruler.at("link", _placed(link, "link_open"))
    parser.inline.ruler.at("image", _placed(image, "image"))


def _placed(rule: Rule, kind: str) -> Rule:
    def read(state: StateInline, silent: bool) -> bool:
        offset, count = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        if not silent:
            made = next(token for token in state.tokens[count : count + 2] if token.type == kind)
            made.meta["offset"] = offset
        return True

    return read
