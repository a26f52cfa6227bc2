"""Callouts: a quote that begins with `[!note] Title` is a note, a tip, a warning, an example, a question."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

KINDS = (
    "note",
    "tip",
    "warning",
    "example",
    "question",
    "quote",
    "definition",
    "important",
    "info",
    "success",
    "failure",
)
_SAME = {
    "abstract": "info",
    "attention": "warning",
    "bug": "failure",
    "caution": "warning",
    "check": "success",
    "cite": "quote",
    "danger": "warning",
    "done": "success",
    "error": "failure",
    "fail": "failure",
    "faq": "question",
    "help": "question",
    "hint": "tip",
    "missing": "failure",
    "summary": "info",
    "tldr": "info",
    "todo": "important",
}
_FIRST_LINE = re.compile(r"\[!(?P<kind>\w[\w-]{0,39})\][+-]?[ \t]*(?P<title>[^\n]*)(?:\n|$)")


def add_callouts(parser: MarkdownIt) -> None:
    """Let `parser` turn quotes that begin with a kind into `callout_open` and `callout_close`."""
    parser.core.ruler.before("inline", "callouts", find_callouts)


def find_callouts(state: StateCore) -> None:
    """Mark every quote whose first line names a kind; its title becomes a block of its own."""
    tokens: list[Token] = []
    opened: list[bool] = []
    waiting = iter(enumerate(state.tokens))
    for index, token in waiting:
        if token.type == "blockquote_open":
            match = _match(state.tokens, index)
            opened.append(match is not None)
            if match is not None:
                tokens += _begin(token, state.tokens[index + 1 : index + 4], match)
                for _ in range(3):
                    next(waiting)
                continue
        elif token.type == "blockquote_close" and opened.pop():
            token.type, token.tag = "callout_close", "div"
        tokens.append(token)
    state.tokens = tokens


def _match(tokens: list[Token], index: int) -> re.Match[str] | None:
    if index + 2 < len(tokens) and tokens[index + 1].type == "paragraph_open":
        return _FIRST_LINE.match(tokens[index + 2].content)
    return None


def _begin(quote: Token, paragraph: list[Token], match: re.Match[str]) -> list[Token]:
    """Return the tokens that stand for the opening of the quote and for its first paragraph."""
    kind = match["kind"].lower()
    known = _SAME.get(kind, kind if kind in KINDS else "note")
    quote.type, quote.tag, quote.meta = "callout_open", "div", {"kind": known}
    opening, text, closing = paragraph
    line = (text.map or [0])[0]
    title = Token("inline", "", 0, content=match["title"].strip() or kind.replace("-", " ").capitalize())
    title.map, title.children, title.level = [line, line + 1], [], text.level
    title_open, title_close = (
        Token("callout_title_open", "p", 1, block=True),
        Token("callout_title_close", "p", -1, block=True),
    )
    text.content = text.content[match.end() :]
    text.map = [line + 1, (text.map or [0, 1])[1]]
    rest = [opening, text, closing] if text.content.strip() else []
    return [quote, title_open, title, title_close, *rest]
