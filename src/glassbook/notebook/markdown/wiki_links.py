"""Links between entries: `[[target]]`, `[[target|shown]]`, `[[target#anchor]]`, and `[[#anchor]]` on the same page."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_LINK = re.compile(
    r"\[\[(?P<name>[^\[\]|#]{0,200}+)(?:#(?P<anchor>[^\[\]|]{1,200}+))?(?:\|(?P<shown>[^\[\]]{1,1000}+))?\]\]"
)


def add_wiki_links(parser: MarkdownIt) -> None:
    """Let `parser` read links to entries as tokens `wiki_open` and `wiki_close` around what is shown."""
    parser.inline.ruler.before("link", "wiki_link", read)


def read(state: StateInline, silent: bool) -> bool:
    """Read one link; what is shown may hold emphasis, code and maths."""
    match = _LINK.match(state.src, state.pos, state.posMax)
    if match is None or not (match["name"].strip() or match["anchor"]):
        return False
    if not silent:
        name, anchor = " ".join(match["name"].split()), (match["anchor"] or "").strip()
        opened = state.push("wiki_open", "", 1)
        opened.meta = {"name": name, "anchor": anchor, "offset": state.pos}
        if match["shown"] is not None:
            _read_shown(state, match.start("shown"), match.end("shown"))
        else:
            opened.meta["words"] = name or anchor.replace("-", " ")
        state.push("wiki_close", "", -1)
    state.pos = match.end()
    return True


def _read_shown(state: StateInline, start: int, end: int) -> None:
    before, state.pos, state.posMax = state.posMax, start, end
    state.linkLevel += 1
    state.md.inline.tokenize(state)
    state.linkLevel -= 1
    state.posMax = before
