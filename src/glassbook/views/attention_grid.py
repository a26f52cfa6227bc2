"""What one attention head reads: squares whose area is the attention from a query token to a key token."""

import unicodedata
from collections.abc import Sequence
from typing import ClassVar

from markupsafe import Markup

from glassbook.views.markup import data_table, element, fold, join, note, scroll_box, visible_text
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell
from glassbook.views.view import VIEWS, View, empty

_CELL = 18
_LONGEST = 64
_LABEL_CHARS = 14
_CHAR_PX = 7.3
_FAINTEST = 0.004
_N_STRONGEST = 8


@VIEWS.add("attention-grid")
class AttentionGrid(View, frozen=True, kw_only=True, tag="attention-grid"):
    """The pattern of one head: row = query token, column = key token; of a long text the last 64 tokens are drawn."""

    compact: ClassVar[bool] = True

    tokens: Sequence[str]
    pattern: Sequence[Sequence[Number]]
    head: str = ""

    def body(self) -> Markup:
        if not self.tokens or not self.pattern:
            return empty("there are no tokens")
        first = max(0, len(self.tokens) - _LONGEST)
        links = self._links(first)
        table = data_table(
            ("Query token", "Key token", "Attention"),
            [(*map(self._name, (query, key)), spell(value)) for value, query, key in self._strongest(links)],
            f"Strongest links of {self.title}",
        )
        drawing = scroll_box(self._drawing(first, links), self.title or "Attention pattern")
        return join(drawing, note(self._remarks(first)), fold("The strongest links", table))

    def _links(self, first: int) -> list[tuple[float, int, int]]:
        n_tokens = len(self.tokens)
        return [
            (value, query, key)
            for query, row in enumerate(self.pattern[:n_tokens])
            for key, value in enumerate(row[:n_tokens])
            if is_drawable(value) and query >= first and key >= first
        ]

    def _strongest(self, links: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
        return sorted(links, key=lambda link: (-link[0], link[1], link[2]))[:_N_STRONGEST]

    def _drawing(self, first: int, links: list[tuple[float, int, int]]) -> Markup:
        names = [_shorten(visible_text(token)) for token in self.tokens[first:]]
        margin = round(_CHAR_PX * max(map(_width, names))) + 10
        side = margin + _CELL * len(names) + 4
        labels = [_label(name, index, margin) for index, name in enumerate(names)]
        squares = [self._square(value, query, key, first, margin) for value, query, key in links if value > _FAINTEST]
        causal = all(key <= query or value <= _FAINTEST for value, query, key in links)
        frame = element("path", d=_outline(len(names), margin, causal), class_="outline")
        label = f"Attention pattern {self.head} over {len(self.tokens)} tokens; the strongest links are listed below"
        return element(
            "svg", frame, *labels, *squares, width=side, height=side, role="img", aria_label=label, class_="attention"
        )

    def _square(self, value: float, query: int, key: int, first: int, margin: int) -> Markup:
        side = (_CELL - 2) * min(value, 1.0) ** 0.5
        x, y = (margin + _CELL * (index - first + 0.5) - side / 2 for index in (key, query))
        title = element("title", f"{self._name(query)} reads {self._name(key)}: {spell(value)}")
        return element("rect", title, x=x, y=y, width=side, height=side, class_="link")

    def _name(self, index: int) -> str:
        return f"{visible_text(self.tokens[index])} ({index})"

    def _remarks(self, first: int) -> str:
        skipped = say_skipped(sum(not is_drawable(value) for row in self.pattern for value in row), "of the weights")
        cut = f"Of {len(self.tokens)} tokens the last {_LONGEST} are drawn." if first else ""
        parts = ("Each row is a token that reads, each column a token that is read; area is attention.", cut, skipped)
        return " ".join(part for part in parts if part)


def _width(name: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in name)


def _shorten(name: str) -> str:
    return name if len(name) <= _LABEL_CHARS else f"{name[: _LABEL_CHARS - 1]}…"


def _label(name: str, index: int, margin: int) -> Markup:
    middle = margin + _CELL * (index + 0.5)
    row = element("text", name, x=margin - 6, y=middle + 4, text_anchor="end")
    column = element("text", name, transform=f"translate({middle + 4:.1f} {margin - 6}) rotate(-90)")
    return row + column


def _outline(n_tokens: int, margin: int, causal: bool) -> str:
    side = _CELL * n_tokens
    back = f"v-{_CELL}h-{_CELL}" * n_tokens if causal else f"v-{side}h-{side}"
    return f"M{margin},{margin}v{side}h{side}{back}z"
