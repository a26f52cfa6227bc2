"""Shapes of whole blocks: figures, pieces that stand alone, tasks in lists."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_TASK = re.compile(r"\[(?P<mark>[ xX])\][ \t]+(?=\S)")


def add_blocks(parser: MarkdownIt) -> None:
    """Let `parser` mark list items that are tasks, and paragraphs that are only a picture or a live piece."""
    parser.core.ruler.before("inline", "tasks", mark_tasks)
    parser.core.ruler.after("inline", "alone", mark_alone)


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
    """Note in `meta` of a paragraph that it holds nothing but one picture, one formula or one live piece."""
    tokens = state.tokens
    for paragraph, text, close in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if paragraph.type == "paragraph_open" and not paragraph.hidden and _only(text) is not None:
            paragraph.meta["alone"] = close.meta["alone"] = _only(text)


def _only(text: Token) -> str | None:
    """Return the type of the single token that a paragraph holds, if it is one that can stand without a paragraph."""
    children = text.children or []
    if len(children) != 1 or children[0].type not in ("image", "live", "maths"):
        return None
    only = children[0]
    if only.type == "maths" and not only.meta["display"]:
        return None
    return only.type
