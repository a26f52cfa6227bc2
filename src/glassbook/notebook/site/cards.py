"""How lists show entries, and what the menu holds."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from glassbook.notebook.entries import KINDS, Entry, slug_of
from glassbook.notebook.history import Change
from glassbook.notebook.live import Measurements
from glassbook.notebook.notebook import Notebook
from glassbook.notebook.site.contexts import Card, Link, Verdict
from glassbook.views.claim_table import NO_VERDICT, SIGNS

LISTS = {
    "log": ("log.html", "Log"),
    "paper": ("papers.html", "Papers"),
    "term": ("terms.html", "Terms"),
    "study": ("studies.html", "Studies"),
    "achievement": ("achievements.html", "Achievements"),
    "project": ("projects.html", "Projects"),
    "post": ("posts.html", "Posts"),
    "meeting": ("meetings.html", "Meetings"),
    "page": ("pages.html", "Pages"),
}
"""The list of each kind: its address and what the menu calls it, in the order of the menu."""

TAGS = ("tags.html", "Tags")
_LAST = 10**6


@dataclass(frozen=True)
class Shelf:
    """The public entries of a notebook as pages show them, with their history and what was measured."""

    notebook: Notebook
    measured: Measurements
    history: dict[str, tuple[Change, ...]]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Return what has a page of its own or, of the first page, a text: everything public."""
        return self.notebook.public

    def of(self, kind: str) -> list[Entry]:
        """Return the entries of a kind in the order of its list: terms by level, what is dated newest first, else by title."""
        found = [entry for entry in self.entries if entry.kind == kind and not entry.is_home]
        if kind in ("term", "paper", "project", "page", "study"):
            return sorted(found, key=lambda entry: (entry.level or _LAST, entry.title.casefold(), entry.slug))
        return sorted(found, key=lambda entry: (self.came(entry), entry.slug), reverse=True)

    def came(self, entry: Entry) -> str:
        """Return the day of an entry: the one it gives, else the one on which git first saw it, else nothing."""
        return self._days[entry.slug]

    @cached_property
    def _days(self) -> dict[str, str]:
        first = {slug: changes[-1].date for slug, changes in self.history.items() if changes}
        days = ((entry.slug, entry.date) for entry in self.entries)
        return {slug: day.isoformat() if day else first.get(slug, "") for slug, day in days}

    def changed(self, entry: Entry) -> str:
        """Return the day on which an entry last changed, where that was after it came; else nothing."""
        said = [
            day.isoformat() if isinstance(day, date) else str(day)[:10] for day in entry.fields.get("changed") or ()
        ]
        days = [*said, *(change.date for change in self.history.get(entry.slug, ()))]
        last = max(days, default="")
        return last if last > self.came(entry) else ""

    def menu(self, root: str, active: str) -> tuple[Link, ...]:
        """Return the menu as seen from a page; a kind without entries has no line."""
        return tuple(Link(label, root + href, "", kind == active) for kind, href, label in self._lines)

    @cached_property
    def _lines(self) -> list[tuple[str, str, str]]:
        links = [(kind, *LISTS[kind]) for kind in LISTS if kind in self._kinds]
        return [*links, *([("tags", *TAGS)] if self.tags else [])]

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(entry.kind for entry in self.entries if not entry.is_home)

    @cached_property
    def tags(self) -> dict[str, list[Entry]]:
        """Return the entries of every tag by the slug of the tag, in alphabetical order."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            for tag in self._tags_of[entry.slug]:
                found.setdefault(tag, []).append(entry)
        return dict(sorted(found.items()))

    @cached_property
    def _tags_of(self) -> dict[str, list[str]]:
        """Return the slugs of the tags of every entry."""
        return {entry.slug: list(dict.fromkeys(map(slug_of, entry.tags))) for entry in self.entries}

    @cached_property
    def tag_names(self) -> dict[str, str]:
        """Return how each tag is spelled most often."""
        spelled: dict[str, Counter[str]] = {}
        for entry in self.entries:
            for tag in entry.tags:
                spelled.setdefault(slug_of(tag), Counter())[tag] += 1
        return {slug: min(counts, key=lambda name: (-counts[name], name)) for slug, counts in spelled.items()}

    def tag_links(self, root: str, slugs: list[str], active: str = "", counted: bool = False) -> tuple[Link, ...]:
        """Return links to the pages of tags, with their numbers of entries where `counted`."""
        return tuple(
            Link(
                self.tag_names[slug],
                f"{root}tags/{slug}.html",
                str(len(self.tags[slug])) if counted else "",
                slug == active,
            )
            for slug in slugs
        )

    def card(self, entry: Entry, root: str) -> Card:
        """Return an entry as a list on a page shows it."""
        if (entry.slug, root) not in self._cards:
            self._cards[entry.slug, root] = self._card(entry, root)
        return self._cards[entry.slug, root]

    @cached_property
    def _cards(self) -> dict[tuple[str, str], Card]:
        return {}

    def _card(self, entry: Entry, root: str) -> Card:
        fields = entry.fields
        return Card(
            title=entry.title,
            href=root + entry.address,
            kind=entry.kind,
            label=LISTS[entry.kind][1],
            summary=entry.definition or (str(fields.get("paper") or "") if entry.kind == "study" else ""),
            date=self.came(entry),
            tags=self.tag_links(root, self._tags_of[entry.slug]),
            draft=entry.draft,
            aliases=entry.aliases,
            level=entry.level,
            authors=", ".join(map(str, fields.get("authors") or ())),
            year=str(fields.get("year") or ""),
            status=str(fields.get("status") or ""),
            topics=tuple(map(str, fields.get("topics") or ())),
            period=str(fields.get("period") or fields.get("quarter") or ""),
            role=str(fields.get("role") or fields.get("with") or ""),
            size=str(fields.get("size") or "") if entry.kind == "study" else "",
            verdicts=self.verdicts(entry),
            stale=self._is_stale(entry),
        )

    def verdicts(self, entry: Entry) -> tuple[Verdict, ...]:
        """Return how many claims of a study's entry have which verdict."""
        place = self.measured.places.get(f"{entry.fields.get('study')}/{entry.fields.get('size')}")
        if entry.kind != "study" or place is None:
            return ()
        counts = Counter(judged.verdict or NO_VERDICT for judged in place.judgements.values())
        signs = {**SIGNS, NO_VERDICT: "–"}
        return tuple(Verdict(name, sign, counts[name]) for name, sign in signs.items() if counts[name])

    def _is_stale(self, entry: Entry) -> bool:
        place = f"{entry.fields.get('study')}/{entry.fields.get('size')}"
        return entry.kind == "study" and bool(self.measured.known.stale.get(place))


def kind_of(entry: Entry) -> str:
    """Return what one entry of this kind is called."""
    return KINDS.find(entry.kind).name
