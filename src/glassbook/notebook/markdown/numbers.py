"""Numbers that lead to the run which measured them: `[0.91](run:STUDY/SIZE#field)`."""

from urllib.parse import unquote

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from glassbook.notebook.markdown.plain import plain

_RUN = "run:"


def fold_all_numbers(state: StateCore) -> None:
    """Turn every link to a run into one token `number`, and note in `meta["label"]` of other links what they show."""
    for token in state.tokens:
        if token.type == "inline" and token.children:
            fold_numbers(token.children)


def fold_numbers(children: list[Token]) -> None:
    """Do so in the tokens of one paragraph, in place."""
    kept: list[Token] = []
    begins: list[int] = []
    for token in children:
        kept.append(token)
        if token.type == "link_open":
            begins.append(len(kept) - 1)
        elif token.type == "link_close":
            begin = begins.pop()
            opened, shown = kept[begin], plain(kept[begin + 1 :])
            opened.meta["label"] = shown
            if str(opened.attrs.get("href", "")).startswith(_RUN):
                place = unquote(str(opened.attrs["href"])).removeprefix(_RUN)
                meta = {"place": place, "offset": opened.meta.get("offset", 0)}
                kept[begin:] = [Token("number", "", 0, content=shown, meta=meta)]
    children[:] = kept
