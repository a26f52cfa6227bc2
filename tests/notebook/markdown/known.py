"""A small notebook around the text: a few entries, sources and numbers, and everything else unknown."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from typing import TypeVar
from urllib.parse import quote

from markupsafe import Markup

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Cited, Live, Piece, Rendered, Target, render

T = TypeVar("T")
ENTRIES = {
    "gpt-2": Target("../terms/gpt-2.html", "GPT-2", "gpt-2", "A language model of 2019."),
    "pca": Target("../terms/pca.html", "Principal components", "pca", "Directions of most variance."),
    "activation-steering": Target("../terms/activation-steering.html", "Activation steering", "activation-steering"),
    "x": Target("../terms/x.html", "X", "x"),
}
SOURCES = {
    "radford2019": Cited(
        "radford2019", "Radford et al. 2019", "Radford, A., et al. Language models. 2019.", "#ref-radford2019"
    ),
    "vaswani2017": Cited(
        "vaswani2017", "Vaswani et al. 2017", "Vaswani, A., et al. Attention. 2017.", "#ref-vaswani2017"
    ),
    "x": Cited("x", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", 'javascript:alert("1")'),
}


@dataclass
class Known:
    """Answers from the tables above; with `lenient` it knows every name, as a hostile notebook would."""

    lenient: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def entry(self, name: str, anchor: str = "") -> Target:
        self.asked.append(("entry", name, anchor))
        found = self._find("entry", ENTRIES, name.lower().replace(" ", "-"), Target(quote(name), name, name))
        return Target(f"{found.href}#{anchor}", found.title, found.slug) if anchor else found

    def file(self, path: str) -> Target | None:
        self.asked.append(("file", path))
        if path.endswith("gpt-2.md"):
            return ENTRIES["gpt-2"]
        return None if "missing" in path else Target(quote(path), path)

    def citation(self, key: str) -> Cited:
        return self._find("reference", SOURCES, key, SOURCES["x"])

    def live(self, what: Live, key: str) -> Piece:
        self.asked.append((what, key))
        if key == "unknown":
            raise NotebookError("no claim is called 'unknown'; did you mean 'known'?")
        if key == "in full":
            return Piece(Markup("<data>in full</data>"), "a claim", Markup("<section>in full</section>"))
        block = f'<figure class="view">{escape(key)}</figure>'
        return Piece(Markup(f"<data>{escape(key)}</data>" if what == "claim" else block), f"{what} {key}")

    def number(self, place: str, field: str, text: str) -> Piece:
        self.asked.append(("number", place, field, text))
        return Piece(Markup(f'<a class="measured" href="{quote(place)}.html">{escape(text)}</a>'), text)

    def picture(self, address: str) -> Piece:
        self.asked.append(("picture", address))
        return Piece(Markup(f'<figure class="view">{escape(address)}</figure>'), f"the picture {address}")

    def _find(self, kind: str, table: dict[str, T], name: str, otherwise: T) -> T:
        if name in table or self.lenient:
            return table.get(name, otherwise)
        near = get_close_matches(name, table, n=1)
        raise NotebookError(f"no {kind} is called '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))


def page(text: str, *, lenient: bool = False) -> Rendered:
    """Return the page of a text in this notebook."""
    return render(text, Known(lenient), path="entries/terms/here.md")


def html(text: str) -> str:
    """Return the HTML of a text in this notebook, without the new line at its end."""
    return page(text).html.strip()
