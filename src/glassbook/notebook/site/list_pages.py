"""The pages that show many entries: the first page, the lists, tags, the search, and what stands for missing pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from glassbook.notebook.entries import Entry
from glassbook.notebook.site.cards import LISTS, Shelf, kind_of
from glassbook.notebook.site.contexts import (
    Event,
    HomeContext,
    Link,
    ListContext,
    PageContext,
    Part,
    SearchContext,
    TagsContext,
)
from glassbook.notebook.site.dressing import Page, absolute
from glassbook.notebook.site.entry_pages import EntryPages
from glassbook.notebook.site.term_map import Node, term_map
from glassbook.notebook.site.texts import Texts
from glassbook.views.claim_table import SIGNS

_LATELY, _READING = 6, 6
_STATUSES = (("reading", "Reading"), ("to read", "To read"), ("read", "Read"), ("", "Other"))
_SAYS = {
    "log": "What was learned and done, newest first.",
    "paper": "Papers with notes: problem, proposal, purpose, background, observations.",
    "term": "Concepts from what is most general to what is most special.",
    "study": "Papers made runnable: what they say, what was measured, and the verdict that the numbers earned.",
    "achievement": "What could be done at the end of a quarter that could not be done at its beginning.",
}


@dataclass(frozen=True)
class ListPages:
    """Makes the pages of lists; texts that stand on them are rendered for where they stand."""

    shelf: Shelf
    entries: EntryPages
    texts: Texts

    def pages(self) -> Iterable[Page]:
        """Yield every page that is no entry's own; kinds and tags without entries have none."""
        yield self._home()
        for kind, (address, label) in LISTS.items():
            if self.shelf.of(kind):
                yield self._list(kind, address, label)
        if self.shelf.tags:
            yield self._page("tags.html", "tags.html", "Tags", "tags", {"tags": TagsContext(self._all_tags(""))})
            yield from map(self._tag, self.shelf.tags)
        names = [Link(entry.title, entry.address, kind_of(entry)) for entry in self.shelf.entries if not entry.is_home]
        found = SearchContext(tuple(sorted(names, key=lambda link: (link.label.casefold(), link.href))))
        yield self._page("search.html", "search.html", "Search", "search", {"search": found})
        yield self._page(
            "404.html", "404.html", "There is nothing here", "404", {}, "No page of this notebook has this address."
        )

    def _home(self) -> Page:
        settings = self.shelf.notebook.settings
        home = next((entry for entry in self.shelf.entries if entry.is_home), None)
        text = self.entries.texts[home.slug] if home else None
        papers = [
            entry for entry in self.shelf.of("paper") if entry.fields.get("status") in ("reading", "to read", None)
        ]
        context = HomeContext(
            intro=Markup(text.rendered.html) if text else Markup(""),
            events=tuple(self.events()[:_LATELY]),
            studies=tuple(self.shelf.card(entry, "") for entry in self.shelf.of("study")),
            claims=self._featured(),
            levels=self._levels(),
            papers=tuple(self.shelf.card(entry, "") for entry in (papers or self.shelf.of("paper"))[:_READING]),
            n_entries=len(self.shelf.entries),
        )
        previews = self.entries.previews(text) if text else None
        has_maths = bool(text and text.rendered.has_maths)
        head = PageContext(
            settings.title, "home", settings.description, absolute(settings.address, ""), "", has_maths, previews
        )
        return Page("index.html", "home.html", head, {"home": context}, "home")

    def _list(self, kind: str, address: str, label: str) -> Page:
        cards = [self.shelf.card(entry, "") for entry in self.shelf.of(kind)]
        whole = (Part("", tuple(cards)),)
        parts = {"term": self._levels, "paper": self._by_status, "achievement": self._by_quarter}.get(
            kind, lambda: whole
        )()
        context = ListContext(
            parts,
            events=tuple(self.events()) if kind == "log" else (),
            map=self._map() if kind == "term" else None,
        )
        own = {"log", "paper", "term", "study", "achievement"}
        template = address if kind in own else "list.html"
        title = "Reading list" if kind == "paper" else label
        return self._page(address, template, title, kind, {"list": context}, _SAYS.get(kind, ""), self._has_maths(kind))

    def _has_maths(self, kind: str) -> bool:
        """Return whether texts with formulas stand on a list: only achievements show their texts there."""
        return kind == "achievement" and any(
            self.entries.texts[one.slug].rendered.has_maths for one in self.shelf.of(kind)
        )

    def events(self) -> list[Event]:
        """Return when entries came and last changed, newest first."""
        found = []
        for entry in self.shelf.entries:
            if entry.is_home:
                continue
            came, changed = self.shelf.came(entry), self.shelf.changed(entry)
            kind = kind_of(entry)
            found += [Event(came, entry.title, entry.address, kind, entry.definition)] if came else []
            found += [Event(changed, entry.title, entry.address, f"{kind}, changed")] if changed else []
        return sorted(
            sorted(found, key=lambda event: (event.title, event.label)), key=lambda event: event.date, reverse=True
        )

    def _featured(self) -> tuple[Markup, ...]:
        """Return a claim that held and one that did not, of different studies where there are several: a notebook shows both.

        Of each verdict, first what its study stands by and a paper has a number for.
        """
        found: list[tuple[bool, str, str, str]] = []
        for name, place in self.shelf.measured.places.items():
            for claim in place.claims.claims:
                judged = place.judgements.get(claim.id)
                has_paper = claim.paper is not None and claim.paper.checked and claim.paper.value is not None
                if judged is not None and judged.verdict and claim.headline:
                    found.append((not has_paper, judged.verdict, name, f"{name}/{claim.id}"))
        shown: dict[str, str] = {}
        for verdict in ("not replicated", "replicated", *SIGNS):
            rows = sorted((row for row in found if row[1] == verdict), key=lambda row: (row[2] in shown, row[0]))
            if rows and len(shown) < 2:
                shown.setdefault(rows[0][2], rows[0][3])
        at_home = self.texts.seen_from("index.html")
        return tuple(at_home.in_full(key) for key in reversed(shown.values()))

    def _levels(self) -> tuple[Part, ...]:
        rows = groupby(self.shelf.of("term"), key=lambda entry: entry.level)
        return tuple(
            Part(
                f"Level {level}" if level else "Without a level",
                tuple(self.shelf.card(entry, "") for entry in row),
                f"level-{level or 'none'}",
            )
            for level, row in rows
        )

    def _by_status(self) -> tuple[Part, ...]:
        papers = self.shelf.of("paper")
        parts = []
        for status, label in _STATUSES:
            row = [entry for entry in papers if str(entry.fields.get("status") or "") == status]
            if row:
                parts.append(
                    Part(label, tuple(self.shelf.card(one, "") for one in row), label.lower().replace(" ", "-"))
                )
        return tuple(parts)

    def _by_quarter(self) -> tuple[Part, ...]:
        def quarter(entry: Entry) -> str:
            return str(entry.fields.get("quarter") or entry.title)

        rows = groupby(sorted(self.shelf.of("achievement"), key=quarter, reverse=True), key=quarter)
        parts = []
        for label, row in rows:
            found = [(entry, self.texts.of(entry, "achievements.html")) for entry in row]
            kept = [(entry, text) for entry, text in found if text is not None]
            cards = tuple(self.shelf.card(entry, "") for entry, _ in kept)
            bodies = tuple(Markup(text.rendered.html) for _, text in kept)
            parts.append(Part(label, cards, f"quarter-{label.lower().replace(' ', '-')}", bodies))
        return tuple(parts)

    def _map(self) -> Markup | None:
        terms = self.shelf.of("term")
        slugs = {entry.slug for entry in terms}
        mentions = [
            (entry.slug, mention.slug)
            for entry in terms
            for mention in self.entries.texts[entry.slug].rendered.mentions
            if mention.slug in slugs
        ]
        return term_map([Node(entry.slug, entry.title, entry.address, entry.level) for entry in terms], mentions)

    def _all_tags(self, root: str, active: str = "") -> tuple[Link, ...]:
        return self.shelf.tag_links(root, list(self.shelf.tags), active, counted=True)

    def _tag(self, slug: str) -> Page:
        cards = tuple(self.shelf.card(entry, "../") for entry in self.shelf.tags[slug])
        context = {"tags": TagsContext(self._all_tags("../", slug), cards)}
        return self._page(f"tags/{slug}.html", "tags.html", self.shelf.tag_names[slug], "tag", context)

    def _page(
        self,
        address: str,
        template: str,
        title: str,
        kind: str,
        content: Mapping[str, object],
        says: str = "",
        has_maths: bool = False,
    ) -> Page:
        world = "" if kind == "404" else absolute(self.shelf.notebook.settings.address, address)
        active = "tags" if kind == "tag" else kind
        return Page(address, template, PageContext(title, kind, says, world, "", has_maths), content, active)
