"""Footnotes: `[^1]` with its text below, or `^[the text itself]`."""

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote.index import footnote_def, footnote_inline

from glassbook.notebook.markdown.numbers import fold_numbers

_REFERENCE = re.compile(r"\[\^(?P<label>[^\s\[\]]{1,200}+)\]")


@dataclass(slots=True)
class Note:
    """One footnote: its text and line; and, from the place on where the text refers to it, how it was written."""

    tokens: list[Token]
    line: int
    number: int = 0
    id: str = ""
    html: str = ""
    places: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Notes:
    """The footnotes of a text by label, those that were written twice with their lines, and how many the text met."""

    by_label: dict[str, Note] = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)
    met: int = 0


def add_footnotes(parser: MarkdownIt) -> None:
    """Let `parser` read footnotes; their text leaves the stream of tokens for `env["notes"]`."""
    parser.block.ruler.before("reference", "footnote_def", footnote_def, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.after("image", "footnote_inline", footnote_inline)
    parser.inline.ruler.before("link", "footnote_ref", read_reference)
    parser.core.ruler.after("inline", "notes", gather_notes)


def read_reference(state: StateInline, silent: bool) -> bool:
    """Read `[^label]` where a footnote of that label stands anywhere in the text; else it is prose."""
    match = _REFERENCE.match(state.src, state.pos, state.posMax)
    if match is None or ":" + match["label"] not in state.env.get("footnotes", {}).get("refs", {}):
        return False
    if not silent:
        state.push("footnote_ref", "", 0).meta = {"label": match["label"], "offset": state.pos}
    state.pos = match.end()
    return True


def gather_notes(state: StateCore) -> None:
    """Take the texts of footnotes out of the stream, which they would interrupt."""
    notes: Notes = state.env.setdefault("notes", Notes())
    for number, written in state.env.get("footnotes", {}).get("list", {}).items():
        fold_numbers(written["tokens"])
        paragraph = Token("paragraph_open", "p", 1, block=True), Token("paragraph_close", "p", -1, block=True)
        inline = Token("inline", "", 0, content=written["content"], children=written["tokens"])
        notes.by_label[f"^{number}"] = Note([paragraph[0], inline, paragraph[1]], 0)
    if "footnotes" not in state.env:
        return
    kept: list[Token] = []
    places: list[list[Token]] = [kept]
    for token in state.tokens:
        if token.type == "footnote_reference_open":
            label, line = token.meta["label"], (token.map or [0])[0]
            note = Note([], line)
            if notes.by_label.setdefault(label, note) is not note:
                notes.repeated.append((label, line))
            places.append(note.tokens)
        elif token.type == "footnote_reference_close":
            places.pop()
        else:
            places[-1].append(token)
    state.tokens = kept
