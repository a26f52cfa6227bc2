"""What is known of one feature: how often and how strongly it is active, on which text, and what its direction says."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from glassbook.views.markup import element, join, note, visible
from glassbook.views.numbers import Number, is_drawable, spell
from glassbook.views.view import VIEWS, View, empty, plain

_WIDTH, _HEIGHT = 240, 48

Listed = Sequence[tuple[str, Number]]


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of text by tokens; `values` are activations, `effects` what the feature adds to each token's log-probability.

    `peak` is the place of the token for which the stretch was chosen.
    """

    tokens: Sequence[str]
    values: Sequence[Number]
    peak: int
    effects: Sequence[Number] = ()

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))


class Passages(msgspec.Struct, frozen=True, kw_only=True):
    """Stretches of text under one heading, such as an interval of activation."""

    name: str
    passages: Sequence[Passage]

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))


@VIEWS.add("feature-card")
class FeatureCard(View, frozen=True, kw_only=True, tag="feature-card"):
    """A feature's card; bars under tokens are activations, the longest the largest on the card.

    `counts` are of tokens with an activation from one of `edges` up to the next. `lists` are names with numbers, under headings.
    """

    density: Number
    largest: Number
    edges: Sequence[Number] = ()
    counts: Sequence[int] = ()
    groups: Sequence[Passages] = ()
    lists: Sequence[tuple[str, Listed]] = ()
    label: str = ""

    def body(self) -> Markup:
        if not self.groups and not self.lists:
            return empty("the feature has neither examples nor lists")
        heading = element("p", self.label, class_="finding") if self.label else None
        beside = element("div", self._facts(), self._histogram(), *map(self._list, self.lists), class_="feature-side")
        text = element("div", *map(self._group, self.groups), note(self._key()), class_="passages")
        return join(heading, element("div", beside, text, class_="feature-body"))

    def _facts(self) -> Markup:
        share = f"{100 * self.density:.3g}\u00a0%" if is_drawable(self.density) else spell(self.density)
        facts = {"active at": f"{share} of tokens", "largest activation": spell(self.largest)}
        pairs = [element("div", element("dt", name), element("dd", value)) for name, value in facts.items()]
        return element("dl", *pairs, class_="feature-facts")

    def _histogram(self) -> Markup | None:
        counts = [count for count in self.counts if is_drawable(count)]
        if not counts or not max(counts):
            return None
        step = _WIDTH / len(counts)
        heights = [_HEIGHT * count / max(counts) for count in counts]
        bars = "".join(
            f"M{place * step:.1f},{_HEIGHT}v-{max(height, 0.7):.1f}h{step * 0.85:.1f}V{_HEIGHT}z"
            for place, height in enumerate(heights)
            if height
        )
        ends = f"{spell(self.edges[0])} to {spell(self.edges[-1])}" if self.edges else ""
        said = f"Activations from {ends}; the fullest bar holds {spell(max(counts))} tokens."
        drawing = element(
            "svg",
            element("path", d=bars),
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            preserveAspectRatio="none",
            class_="bars",
            role="img",
            aria_label=said,
        )
        return join(drawing, element("p", said, class_="note"))

    def _list(self, listed: tuple[str, Listed]) -> Markup | None:
        name, entries = listed
        if not entries:
            return None
        rows = [element("li", element("code", visible(one)), f" {spell(value)}") for one, value in entries]
        return join(element("p", name, class_="list-name"), element("ul", *rows, class_="listed"))

    def _group(self, group: Passages) -> Markup:
        shown = [self._passage(passage) for passage in group.passages]
        return join(element("p", group.name, class_="list-name"), *shown)

    def _passage(self, passage: Passage) -> Markup:
        values = [*passage.values, *[None] * len(passage.tokens)]
        largest = self.largest if is_drawable(self.largest) else 0.0
        tokens = [
            _token(token, values[place], largest, place == passage.peak) for place, token in enumerate(passage.tokens)
        ]
        line = element("p", *tokens, class_="passage")
        return join(line, self._effects(passage)) if passage.effects else line

    def _effects(self, passage: Passage) -> Markup:
        pairs = zip(passage.tokens, passage.effects, strict=False)
        known = [(token, value) for token, value in pairs if is_drawable(value)]
        told = sorted(known, key=lambda pair: -abs(pair[1]))[:5]
        said = [join(element("code", visible(token)), f" {spell(value)}") for token, value in told]
        return element("p", "Without the feature these would lose, in nats: ", Markup(", ").join(said), class_="note")

    def _key(self) -> str:
        return "A bar beneath a token is the feature's activation there; the token that a stretch was chosen for is in bold."


def _token(token: str, value: Number, largest: float, is_peak: bool) -> Markup:
    """Return a token as plain text where the feature is not active; else over its bar."""
    if not is_drawable(value) or not value:
        return _words(token)
    share = min(abs(value) / largest, 1) if largest else 0.0
    kind = "on peak" if is_peak else "on"
    return element("span", _words(token), class_=kind, style=f"--v:{share:.2f}", title=spell(value))


def _words(token: str) -> Markup:
    """Return a token whose blanks stay blanks, since a stretch is read as text; all else unseen is marked."""
    return (
        Markup(" ").join(visible(part) if part else Markup("") for part in token.split(" ")) if token else visible("")
    )
