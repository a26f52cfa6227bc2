"""Shapes of whole blocks: figures, pieces that stand alone, tasks in lists."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from glassbook.notebook.markdown.numbers import fold_all_numbers, fold_numbers

_TASK = re.compile(r"\[(?P<mark>[ xX])\][ \t]+(?=\S)")


def add_blocks(parser: MarkdownIt) -> None:
    """Let `parser` mark list items that are tasks, and paragraphs that are only a picture or a live piece."""
    parser.core.ruler.before("inline", "tasks", mark_tasks)
    parser.core.ruler.after("inline", "numbers", fold_all_numbers)
    parser.core.ruler.after("numbers", "alone", mark_alone)


def mark_tasks(state: StateCore) -> None:
    """Note in `meta` of a list item whether it is a task and done, and take the brackets out of its text."""
    tokens = state.tokens
    for item, paragraph, text in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type == "list_item_open" and paragraph.type == "paragraph_open" and text.type == "inline":
            match = _TASK.match(text.content)
            if match:
                item.meta["task"] = "done" if match["mark"] != " " else "to do"
                text.content = text.content[match.end() :]


def mark_alone(state: StateCore) -> None:
    """Note in `meta` of a paragraph that it holds nothing but one picture, formula or live piece, or blocks among its words;
    in that of a heading its text."""
    tokens = state.tokens
    for paragraph, text, close in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if paragraph.type == "heading_open":
            paragraph.meta["text"] = text
        elif paragraph.type == "paragraph_open" and not paragraph.hidden:
            alone = _only(text)
            if alone is not None:
                alone.meta["alone"] = True
                paragraph.meta["alone"] = close.meta["alone"] = alone.type
                _read_caption(state, alone, text)
            elif any(_is_block(child) for child in text.children or ()):
                paragraph.meta["blocks"] = close.meta["blocks"] = True


def _only(text: Token) -> Token | None:
    """Return the single token of a paragraph, if it is one that can stand without a paragraph around it."""
    children = text.children or []
    if len(children) != 1 or children[0].type not in ("image", "live", "maths"):
        return None
    only = children[0]
    if (only.type == "maths" and not only.meta["display"]) or (only.type == "image" and not _is_figure(only)):
        return None
    return only


def _is_figure(picture: Token) -> bool:
    return bool(picture.attrs.get("title")) or _is_block(picture)


def _is_block(token: Token) -> bool:
    """Return whether what the token shows is made of blocks, which no paragraph of HTML may hold."""
    if token.type == "image":
        return str(token.attrs.get("src", "")).startswith("view:")
    return token.type == "live" and token.meta["what"] in ("view", "study")


def _read_caption(state: StateCore, alone: Token, text: Token) -> None:
    """Read the title of a picture as its caption, in which formulas, links and citations are what they are elsewhere."""
    title = str(alone.attrs.get("title", ""))
    if alone.type == "image" and title:
        children: list[Token] = []
        state.md.inline.parse(title, state.md, state.env, children)
        fold_numbers(children)
        alone.meta["caption"] = Token("inline", "", 0, map=text.map, content=title, children=children)
