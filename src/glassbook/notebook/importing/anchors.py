"""The ids by which a page could be linked to, as its renderer made them, and those that an entry has here."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from glassbook.notebook.importing.dialect import Named, Page
from glassbook.notebook.importing.outline import Heading, headings
from glassbook.notebook.importing.tags import TAG, attributes, is_id
from glassbook.notebook.markdown.headings import Ids, slug
from glassbook.notebook.markdown.plain import plain

_DROPPED = re.compile(r"[^\w\- ]")
_KRAMDOWN_START = re.compile(r"^[^a-zA-Z]+")
_KRAMDOWN = re.compile(r"[^a-zA-Z0-9 -]")
_GIVEN_LINE = re.compile(r"^\{:[ \t]*#(?P<id>[\w:.-]+)[^{}\n]*\}[ \t]*$")


@dataclass(frozen=True, slots=True)
class Anchor:
    """One id of the old page: its line, and the heading that it belongs to, if to any; `made_by` names the renderer."""

    id: str
    line: int
    heading: Heading | None
    made_by: str


def old_anchors(page: Page, mended: Mapping[int, Heading]) -> dict[str, Anchor]:
    """Return every id that led to a place of the page, each once: explicit ones, then those that renderers gave headings.

    `mended` are the headings as they are cut, by line.

    GitHub's rule is also that of Jekyll (kramdown with GFM), Docusaurus and Gatsby for headings without raw HTML; plain
    kramdown and Gatsby's reading of raw HTML differ from it.
    """
    found: dict[str, Anchor] = {}
    all_headings = list(headings(page))
    by_line = {line: heading for heading in all_headings for line in range(heading.start, heading.end)}
    for name in page.names:
        found.setdefault(name.id, Anchor(name.id, name.line, by_line.get(name.line), "the page itself"))
    for given, line, heading in _given(page, all_headings):
        found.setdefault(given, Anchor(given, line, heading, "kramdown or Docusaurus, from braces"))
    for made_by, rule in _RULES.items():
        for heading, made in _numbered(all_headings, rule):
            found.setdefault(made, Anchor(made, heading.start, heading, made_by))
    return {
        name: replace(anchor, heading=mended.get(anchor.heading.start)) if anchor.heading else anchor
        for name, anchor in found.items()
    }


def entry_ids(found: Iterable[Heading], names: Iterable[Named]) -> tuple[set[str], dict[int, str]]:
    """Return all ids that the notebook gives a text with these headings and explicit ids, and those of headings by line."""
    ids = Ids()
    written = [name.id for name in names]
    for name in written:
        ids.reserve("-".join(name.split()))
    by_line: dict[int, str] = {}
    for heading in found:
        inside = _inside(heading)
        wanted = slug(heading.text if heading.is_raw else " ".join(plain(heading.children).split()))
        own = next((name for name in inside if heading.is_raw or name == wanted), None)
        by_line[heading.start] = own if own is not None else ids.make(wanted)
    return {*ids.taken, *by_line.values(), *written}, by_line


def _inside(heading: Heading) -> list[str]:
    tags = TAG.finditer(heading.content)
    return [value for tag in tags for name, value, _ in attributes(tag["attributes"]) if is_id(tag["name"], name)]


def _given(page: Page, found: list[Heading]) -> Iterator[tuple[str, int, Heading]]:
    for heading in found:
        if heading.given_id:
            yield heading.given_id, heading.start, heading
        below = page.lines[heading.end] if heading.end < len(page.lines) else ""
        match = _GIVEN_LINE.match(below)
        if match:
            yield match["id"], heading.start, heading


def _numbered(found: list[Heading], rule: "_Rule") -> Iterator[tuple[Heading, str]]:
    """Yield what a rule calls each heading; a name that was given before gets a number."""
    counts: dict[str, int] = {}
    taken: set[str] = set()
    for heading in found:
        name = base = rule.apply(heading)
        if not base:
            continue
        while name in taken:
            counts[base] = counts.get(base, 0) + 1
            name = f"{base}-{counts[base]}"
        taken.add(name)
        yield heading, name


@dataclass(frozen=True, slots=True)
class _Rule:
    raw_html: bool
    only_ascii: bool
    from_source: bool = False

    def apply(self, heading: Heading) -> str:
        text = self._text(heading)
        if self.only_ascii:
            text = _KRAMDOWN.sub("", _KRAMDOWN_START.sub("", text)).replace(" ", "-").lower()
            return text or "section"
        return _DROPPED.sub("", unicodedata.normalize("NFC", text).lower().strip()).replace(" ", "-")

    def _text(self, heading: Heading) -> str:
        if heading.is_raw or self.from_source:
            return heading.content if self.from_source and not heading.is_raw else heading.text
        if not self.raw_html:
            return heading.text
        kinds = ("text", "code_inline", "html_inline", "text_special")
        return "".join(token.content for token in heading.children if token.type in kinds)


_RULES = {
    "GitHub, Jekyll, Docusaurus": _Rule(raw_html=False, only_ascii=False),
    "Gatsby": _Rule(raw_html=True, only_ascii=False),
    "kramdown": _Rule(raw_html=False, only_ascii=True),
    "kramdown, from the source": _Rule(raw_html=False, only_ascii=True, from_source=True),
}
