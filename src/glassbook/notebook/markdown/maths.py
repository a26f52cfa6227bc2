r"""Formulas in the text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, and the last two with doubled backslashes."""

import re
from bisect import bisect_left

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# What opens a formula, what closes it, and whether it stands on a line of its own. Longer openings come first.
_SPELLINGS = (
    ("$$", re.compile(r"\$\$"), True),
    ("\\\\(", re.compile(r"\\\\\)"), False),
    ("\\\\[", re.compile(r"\\\\\]"), True),
    ("\\(", re.compile(r"(?<!\\)\\\)"), False),
    ("\\[", re.compile(r"(?<!\\)\\\]"), True),
)
_BLOCKS = tuple((opening, closing) for opening, closing, display in _SPELLINGS if display)
# The next dollar must close what one opens: after something that is no space, before something that is no digit.
# Else both are prose, as in "from $5 to $6".
_DOLLAR = re.compile(r"(?<!\\)\$")
_OPENING_DOLLAR = re.compile(r"(?<![\w$])\$(?![\s$])")
_CLOSING_DOLLAR = re.compile(r"(?<![\s$])\$(?![0-9$])")


def add_maths(parser: MarkdownIt) -> None:
    """Let `parser` read formulas as tokens `maths`, whose `meta` says whether they are displayed."""
    parser.block.ruler.before(
        "fence", "maths", read_block, {"alt": ["paragraph", "reference", "blockquote", "list", "footnote_def"]}
    )
    parser.inline.ruler.before("escape", "maths", read_inline)


def read_inline(state: StateInline, silent: bool) -> bool:
    """Read a formula within a paragraph."""
    character = state.src[state.pos]
    if character not in "$\\":
        return False
    found = _find_closing(state)
    if found is None:
        return False
    start, end, after, display = found
    tex = state.src[start:end]
    if not tex.strip():
        return False
    if not silent:
        token = state.push("maths", "", 0)
        # The spelling $`…`$ keeps other programs from reading the formula as Markdown.
        token.content = tex[1:-1] if len(tex) > 2 and tex[0] == tex[-1] == "`" else tex
        token.meta = {"display": display, "offset": state.pos}
    state.pos = after
    return True


def _find_closing(state: StateInline) -> tuple[int, int, int, bool] | None:
    """Return where the formula that opens here begins and ends, what follows it, and whether it is displayed."""
    for opening, closing, display in _SPELLINGS:
        if state.src.startswith(opening, state.pos):
            start = state.pos + len(opening)
            span = _next(state, closing, start)
            return (start, span[0], span[1], display) if span else None
    if not _OPENING_DOLLAR.match(state.src, state.pos):
        return None
    span = _next(state, _DOLLAR, state.pos + 1)
    if span is None or not _CLOSING_DOLLAR.match(state.src, span[0]):
        return None
    return state.pos + 1, *span, False


def _next(state: StateInline, closing: re.Pattern[str], start: int) -> tuple[int, int] | None:
    """Return the first place at or after `start` where `closing` stands; the text is searched once, however many open."""
    kept: dict[tuple[str, re.Pattern[str]], list[tuple[int, int]]] = state.env.setdefault("maths_closings", {})
    places = kept.get((state.src, closing))
    if places is None:
        places = kept[state.src, closing] = [match.span() for match in closing.finditer(state.src)]
    at = bisect_left(places, (start, 0))
    return places[at] if at < len(places) and places[at][1] <= state.posMax else None


def read_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a formula that fills whole lines; a blank line before it closes leaves it to be prose."""
    if state.is_code_block(start_line):
        return False
    begin = state.bMarks[start_line] + state.tShift[start_line]
    for opening, closing in _BLOCKS:
        if state.src.startswith(opening, begin):
            return _read_lines(state, (start_line, end_line), (opening, closing), silent)
    return False


def _read_lines(state: StateBlock, lines: tuple[int, int], spelling: tuple[str, re.Pattern[str]], silent: bool) -> bool:
    start_line, (opening, closing) = lines[0], spelling
    unclosed: dict[str, int] = state.env.setdefault("maths_unclosed", {})
    if start_line < unclosed.get(opening, 0):
        return False
    found = _collect(state, lines, len(opening), closing)
    if isinstance(found, int):
        unclosed[opening] = found
        return False
    tex, line, rest = found
    if rest.strip() or not tex.strip():
        return False
    if not silent:
        state.line = line + 1
        token = state.push("maths_block", "", 0)
        token.content, token.map, token.block = tex, [start_line, state.line], True
        token.meta = {"display": True}
    return True


def _collect(
    state: StateBlock, lines: tuple[int, int], skip: int, closing: re.Pattern[str]
) -> tuple[str, int, str] | int:
    """Return the formula, its last line and what follows on it; or the line up to which nothing closes it."""
    parts: list[str] = []
    for line in range(*lines):
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
        if not text.strip() or state.sCount[line] < state.blkIndent:
            return line
        text = text if parts or line > lines[0] else text[skip:]
        match = closing.search(text)
        if match:
            return "\n".join([*parts, text[: match.start()]]), line, text[match.end() :]
        parts.append(text)
    return lines[1]
