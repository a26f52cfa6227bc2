"""HTML and SVG as nested calls: everything that is not markup already is escaped."""

import unicodedata
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_VOID = frozenset({"br", "hr", "meta", "col"})
_MARKS = {"\n": "⏎", "\t": "⇥", "\r": "␍", " ": "·"}


def element(name: str, /, *content: str | None, **attributes: str | float | None) -> Markup:
    """Return one element; `class_` writes class, `stroke_width` writes stroke-width, None writes no attribute."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    opening = Markup(f"<{name}{written}>")
    if name in _VOID:
        return opening
    return opening + join(*content) + Markup(f"</{name}>")


def join(*content: str | None) -> Markup:
    """Return the pieces one after another, each escaped unless it is markup."""
    return Markup("").join(escape(piece) for piece in content if piece is not None)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else coordinate(value)


def coordinate(value: float) -> str:
    """Return a number for a drawing: at most three decimals, the same on every machine."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def scroll_box(content: str, label: str) -> Markup:
    """Return a box that scrolls sideways by itself, reachable by keyboard, so that the page never does."""
    return element("div", content, class_="scroll", role="region", tabindex="0", aria_label=label)


def fold(summary: str, *content: str | None) -> Markup:
    """Return content behind a summary that a reader can open without any script."""
    return element("details", element("summary", summary), *content)


def data_table(columns: Iterable[str], rows: Iterable[Sequence[str]], label: str) -> Markup:
    """Return a table whose first column names its rows, inside its own scroll box."""
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    lines = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    return scroll_box(element("table", element("thead", head), element("tbody", *lines)), label)


def note(text: str) -> Markup | None:
    """Return a small remark under a picture, or nothing for no text."""
    return element("p", text, class_="note") if text else None


def visible(token: str) -> Markup:
    """Return a token with its white space, control and direction characters made visible, as muted marks."""
    pieces = [_mark(char) or char for char in token]
    return join(*pieces) if token else element("span", "∅", class_="mark")


def visible_text(token: str) -> str:
    """Return the same in plain text, for labels and tables."""
    return "".join(_MARKS.get(char) or _code(char) or char for char in token) or "∅"


def _mark(char: str) -> Markup | None:
    text = _MARKS.get(char) or _code(char)
    return element("span", text, class_="mark") if text else None


def _code(char: str) -> str | None:
    # Direction overrides and other unseen characters would otherwise rearrange the words around them.
    unseen = unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co") and char != "\u200d"
    return f"U+{ord(char):04X}" if unseen else None
