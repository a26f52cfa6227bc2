"""Tokens in reading order, each with a number drawn as a bar beneath it."""

from collections.abc import Sequence

from markupsafe import Markup

from glassbook.views.markup import data_table, element, fold, join, note, visible, visible_text
from glassbook.views.numbers import Number, is_drawable, say_skipped, spell
from glassbook.views.view import VIEWS, View, empty


@VIEWS.add("token-strip")
class TokenStrip(View, frozen=True, kw_only=True, tag="token-strip"):
    """A text by tokens: `values` are bars under them, `marks` underline those that something touched."""

    tokens: Sequence[str]
    values: Sequence[Number] | None = None
    marks: Sequence[bool] | None = None
    value_name: str = "value"
    unit: str = ""
    mark_name: str = "touched"

    def body(self) -> Markup:
        if not self.tokens:
            return empty("the text has no tokens")
        values = self._padded_values()
        largest = max((abs(value) for value in values if is_drawable(value)), default=0.0)
        marks = [*(self.marks or ()), *[False] * len(self.tokens)]
        pieces = [
            draw_token(token, mark, bar(value, largest) if self.values is not None else None)
            for token, mark, value in zip(self.tokens, marks, values, strict=False)
        ]
        return join(element("p", *pieces, class_="tokens"), note(self._key(largest)), self._numbers())

    def _padded_values(self) -> list[Number]:
        given = list(self.values or ())
        return (given + [None] * len(self.tokens))[: len(self.tokens)]

    def _key(self, largest: float) -> str:
        parts = []
        if self.values is not None:
            values = self._padded_values()
            striped = " Striped bars are negative." if any(is_drawable(v) and v < 0 for v in values) else ""
            parts.append(f"Bar: {self.value_name}; the longest is {spell(largest, self.unit)}.{striped}")
            parts.append(say_skipped(sum(not is_drawable(value) for value in values), "of the values"))
        if self.marks is not None:
            parts.append(f"Underlined in brackets: {self.mark_name} ({sum(self.marks)} of {len(self.tokens)} tokens).")
        return " ".join(part for part in parts if part)

    def _numbers(self) -> Markup | None:
        if self.values is None:
            return None
        rows = [
            (element("code", visible_text(token)), spell(value, self.unit))
            for token, value in zip(self.tokens, self._padded_values(), strict=True)
        ]
        return fold("The numbers", data_table(("Token", self.value_name), rows, f"Numbers of {self.title}"))


def draw_token(token: str, touched: bool, under: Markup | None = None) -> Markup:
    """Return one token, bracketed by its underline when touched, with `under` beneath it; a newline breaks the line."""
    text = element("span", visible(token), class_="touched" if touched else "text")
    box = element("span", text, under, class_="token")
    return box + element("br") if "\n" in token else box


def bar(value: Number, largest: float) -> Markup:
    """Return a bar whose length is |value| / largest; striped for a negative value, absent for none."""
    if not is_drawable(value) or not largest:
        return element("span", class_="bar")
    kind = "bar negative" if value < 0 else "bar positive"
    return element("span", element("span", style=f"width:{abs(value) / largest:.1%}"), class_=kind, title=spell(value))
