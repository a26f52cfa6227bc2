"""Writes tokens as HTML by rules, one for each type of token."""

from collections.abc import Callable, Iterable, Mapping
from html import escape

from markdown_it.token import Token

from glassbook.notebook.markdown.page import Page

Rule = Callable[["Writer", Token], str]


class Writer:
    """One pass over tokens of a page.

    `closers` are the ends of the links and raw tags that are open at this moment.
    """

    def __init__(self, page: Page, rules: Mapping[str, Rule]) -> None:
        self.page = page
        self.closers: list[str] = []
        self._rules = rules

    def within(self) -> "Writer":
        """Return a writer of the same page for a text that stands within another, such as a note."""
        return Writer(self.page, self._rules)

    def blocks(self, tokens: Iterable[Token]) -> str:
        """Return the HTML of `tokens`."""
        return "".join(self._write(token) for token in tokens)

    def inline(self, block: Token) -> str:
        """Return the HTML of the text of one paragraph, heading or cell."""
        before, self.page.block = self.page.block, block
        html = "".join(self._write(token) for token in block.children or ())
        self.page.block = before
        return html

    def _write(self, token: Token) -> str:
        if token.type == "inline":
            return self.inline(token)
        rule = self._rules.get(token.type)
        return rule(self, token) if rule else plain_tag(token)


def plain_tag(token: Token) -> str:
    """Return the tag of a token that needs no rule of its own."""
    if token.hidden:
        return "\n" if token.nesting == -1 else ""
    if token.nesting == -1:
        return f"</{token.tag}>\n" if token.block else f"</{token.tag}>"
    return tag(token.tag, **{name: str(value) for name, value in token.attrs.items()})


def tag(name: str, /, **attributes: str) -> str:
    """Return an opening tag; an underscore in the name of an attribute is a hyphen, one at its end is left out."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>"
