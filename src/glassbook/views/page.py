"""One self-contained page: a report that opens without a network, a script or anything beside it."""

import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from markupsafe import Markup

from glassbook.views.cost_table import Costs
from glassbook.views.markup import element, fold
from glassbook.views.view import View

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SYMBOLS = {"held": "✓", "not held": "✗", "unclear": "≈"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: its heading, prose (paragraphs parted by blank lines), and pictures."""

    heading: str
    prose: str = ""
    views: Sequence[View] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the page comes to: one sentence a scientist would trust, and whether what was expected held."""

    outcome: Literal["held", "not held", "unclear"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Making:
    """How a page was made: facts by name (command, seed, weights, versions, hardware), and what it cost."""

    facts: Mapping[str, str]
    costs: Costs | None = None


def render_page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    run_facts: Mapping[str, str],
    making: Making,
    verdict: Verdict | None = None,
) -> str:
    """Return a whole HTML page with its style inside; text is escaped, prose given as Markup is kept as it is."""
    header = element(
        "header",
        element("p", "Glassbook report", class_="kicker"),
        element("h1", title),
        element("p", lead, class_="lead"),
        _facts(run_facts, "facts-strip"),
        _verdict(verdict),
    )
    main = element("main", header, *(_section(section) for section in sections), _making(making))
    body = element("body", main, element("footer", element("p", "Made with Glassbook. This file needs no network.")))
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(theme())),
    )


def theme() -> str:
    """Return the style sheet that a standalone page carries: the views' own, and that of the page around them."""
    sheets = (files("glassbook.views").joinpath(name) for name in ("theme.css", "report.css"))
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def _verdict(verdict: Verdict | None) -> Markup | None:
    if verdict is None:
        return None
    label = element(
        "span", element("span", _SYMBOLS[verdict.outcome], aria_hidden="true"), f" {verdict.outcome}", class_="outcome"
    )
    kind = verdict.outcome.replace(" ", "-")
    return element("aside", label, element("p", verdict.sentence), class_=f"verdict {kind}", aria_label="Verdict")


def _section(section: Section) -> Markup:
    pictures = [Markup(view.html()) for view in section.views]
    shown = element("div", *pictures, class_="views") if pictures else None
    return element("section", element("h2", section.heading), _prose(section.prose), shown)


def _prose(text: str) -> Markup:
    if isinstance(text, Markup):
        return element("div", text, class_="prose")
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    return element("div", *(element("p", part) for part in paragraphs), class_="prose") if paragraphs else Markup("")


def _making(making: Making) -> Markup:
    costs = Markup(making.costs.html()) if making.costs else None
    return element("section", fold("How was this made", _facts(making.facts, "making-facts"), costs), class_="making")


def _facts(facts: Mapping[str, str], kind: str) -> Markup | None:
    if not facts:
        return None
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in facts.items()]
    return element("dl", *pairs, class_=kind)


def open_in_browser(path: str | Path) -> bool:
    """Return whether a browser was asked to show `path`; without a display nothing is tried."""
    if not has_display():
        return False
    return webbrowser.open(Path(path).resolve().as_uri())


def has_display() -> bool:
    """Return whether this process can show a window."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
