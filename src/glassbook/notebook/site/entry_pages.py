"""The page of each entry, with all that stands around its text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from glassbook.notebook.entries import Entry
from glassbook.notebook.links import backlinks
from glassbook.notebook.run_pages import RunPage
from glassbook.notebook.site.cards import LISTS, Shelf, kind_of
from glassbook.notebook.site.contexts import (
    Backlink,
    Card,
    Correction,
    Dated,
    EntryContext,
    Link,
    PageContext,
    Source,
)
from glassbook.notebook.site.dressing import Page, absolute
from glassbook.notebook.site.texts import Text


@dataclass(frozen=True)
class EntryPages:
    """Makes the pages of entries and of runs from their texts."""

    shelf: Shelf
    texts: Mapping[str, Text]

    def page(self, entry: Entry) -> Page:
        """Return the page of an entry."""
        text = self.texts[entry.slug].rendered
        address = self.shelf.notebook.settings.address
        image = str(entry.fields.get("meta_image") or "")
        head = PageContext(
            title=entry.title,
            kind=entry.kind,
            description=str(entry.fields.get("meta_description") or entry.definition),
            address=absolute(address, entry.address),
            image=self._image(entry, image),
            has_maths=text.has_maths,
            previews=self.previews(self.texts[entry.slug]),
        )
        return Page(entry.address, "entry.html", head, {"entry": self._context(entry)}, entry.kind)

    def run_page(self, run: RunPage) -> Page:
        """Return the page of a run."""
        head = PageContext(run.title, "run", run.summary, absolute(self.shelf.notebook.settings.address, run.address))
        card = Card(run.title, f"../{run.address}", "run", "Runs", run.summary, run.date)
        context = EntryContext(
            card, run.body, run.contents, Link("Runs", "../studies.html" if self.shelf.of("study") else "../index.html")
        )
        return Page(run.address, "entry.html", head, {"entry": context}, "study")

    def previews(self, text: Text) -> dict[str, dict[str, object]] | None:
        """Return what is shown of the entries and references that a text leads to, when somebody points at them."""
        entries: dict[str, object] = {}
        for slug in sorted({mention.slug for mention in text.rendered.mentions}):
            entry = self._by_slug[slug]
            entries[slug] = {"kind": kind_of(entry), "title": entry.title, "text": entry.definition}
        references = {key: self._in_full(key) for key in sorted(text.rendered.cited)}
        return {"entries": entries, "references": dict(references)} if entries or references else None

    def _context(self, entry: Entry) -> EntryContext:
        text = self.texts[entry.slug].rendered
        earlier, later = self._neighbors[entry.slug]
        href, label = LISTS[entry.kind]
        return EntryContext(
            card=self.shelf.card(entry, "../"),
            body=Markup(text.html),
            contents=text.contents,
            index=Link(label, f"../{href}"),
            outside=_outside(entry),
            corrections=tuple(self._corrections(entry)),
            sources=tuple(self._sources(entry, text.cited)),
            history=tuple(Dated(change.date, change.subject) for change in self.shelf.history.get(entry.slug, ())),
            backlinks=tuple(
                Backlink(source.title, f"../{source.address}", kind_of(source), one.sentence)
                for one in self._mentioned.get(entry.slug, ())
                for source in [self._by_slug[one.source]]
            ),
            earlier=Link(earlier.title, f"../{earlier.address}", "Before") if earlier else None,
            later=Link(later.title, f"../{later.address}", "Next") if later else None,
        )

    def _corrections(self, entry: Entry) -> list[Correction]:
        references = self.shelf.notebook.references
        return [
            Correction(
                one.said,
                one.right,
                ", ".join(
                    part
                    for part in (references[one.source].short if one.source in references else one.source, one.where)
                    if part
                ),
            )
            for one in entry.corrections
        ]

    def _sources(self, entry: Entry, cited: tuple[str, ...]) -> list[Source]:
        """Return what a text cites, and what its corrections rest on, in the order in which it is named."""
        references = self.shelf.notebook.references
        keys = dict.fromkeys([*cited, *(one.source for one in entry.corrections if one.source in references)])
        return [Source(key, self._in_full(key), references[key].link) for key in keys]

    def _in_full(self, key: str) -> str:
        if key not in self._spelled:
            self._spelled[key] = self.shelf.notebook.references[key].full
        return self._spelled[key]

    @cached_property
    def _spelled(self) -> dict[str, str]:
        return {}

    def _image(self, entry: Entry, image: str) -> str:
        """Return where the picture of a social card stands in the world: only one that is on the site."""
        address = self.shelf.notebook.settings.address
        found = (
            next((path for path in self.texts[entry.slug].files if path.endswith(image.lstrip("./"))), "")
            if image
            else ""
        )
        return absolute(address, found) if found else ""

    @cached_property
    def _by_slug(self) -> dict[str, Entry]:
        return {entry.slug: entry for entry in self.shelf.entries}

    @cached_property
    def _mentioned(self):  # type: ignore[no-untyped-def]
        return backlinks({slug: text.rendered for slug, text in self.texts.items()})

    @cached_property
    def _neighbors(self) -> dict[str, tuple[Entry | None, Entry | None]]:
        found: dict[str, tuple[Entry | None, Entry | None]] = {}
        for kind in LISTS:
            row = self.shelf.of(kind)
            for before, entry, after in zip([None, *row], row, [*row[1:], None], strict=False):
                found[entry.slug] = (before, after)
        return found


def _outside(entry: Entry) -> tuple[Link, ...]:
    """Return links to where a paper or project stands in the world."""
    fields = entry.fields
    found = []
    if fields.get("arxiv"):
        found.append(Link(f"arXiv {fields['arxiv']}", f"https://arxiv.org/abs/{fields['arxiv']}"))
    if fields.get("doi"):
        found.append(Link(f"doi {fields['doi']}", f"https://doi.org/{fields['doi']}"))
    url = str(fields.get("url") or "")
    if url.startswith(("https://", "http://")) and not any(url == link.href for link in found):
        found.append(Link("Read it" if entry.kind == "paper" else "Its page", url))
    return tuple(found)
