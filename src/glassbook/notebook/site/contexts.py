"""What a template is given: plain values, every text unescaped, every address relative to the page that shows it.

Only Markup is HTML: the text of an entry and the pieces that stand for what was measured. Each template names its context.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from glassbook.notebook.markdown import Heading


@dataclass(frozen=True, slots=True)
class Link:
    """Where something leads, and what is said about it: the kind of an entry, a count, a date."""

    label: str
    href: str
    note: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class SiteContext:
    """What all pages share; `policy` is the Content Security Policy, `menu` is as seen from the page.

    `full_text` tells whether the site was built with an index of all its words, beside that of its names.
    """

    title: str
    description: str
    language: str
    author: str
    address: str
    repository: str
    policy: str
    menu: tuple[Link, ...]
    full_text: bool = True


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the head of a page says. `address` and `image` are absolute, or empty where the notebook has no address.

    `previews` is `{"entries": {slug: {"kind", "title", "text"}}, "references": {key: text}}` for the links of this page.
    """

    title: str
    kind: str
    description: str = ""
    address: str = ""
    image: str = ""
    has_maths: bool = False
    previews: Mapping[str, Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class Dated:
    """A day (ISO) and what changed on it."""

    date: str
    says: str


@dataclass(frozen=True, slots=True)
class Correction:
    """What was said, what is right, and its source."""

    said: str
    right: str
    source: str


@dataclass(frozen=True, slots=True)
class Source:
    """A cited reference in full; its item in the list has the id `ref-KEY`."""

    key: str
    full: str
    href: str


@dataclass(frozen=True, slots=True)
class Backlink:
    """A page that mentions this one, and the sentence in which it does."""

    title: str
    href: str
    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many claims of a study have a verdict, and its sign."""

    name: str
    symbol: str
    count: int


@dataclass(frozen=True, slots=True)
class Card:
    """An entry as a list shows it. Fields that its kind does not have are empty."""

    title: str
    href: str
    kind: str
    label: str
    summary: str = ""
    date: str = ""
    tags: tuple[Link, ...] = ()
    draft: bool = False
    aliases: tuple[str, ...] = ()
    level: int | None = None
    authors: str = ""
    year: str = ""
    status: str = ""
    topics: tuple[str, ...] = ()
    period: str = ""
    role: str = ""
    size: str = ""
    verdicts: tuple[Verdict, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class EntryContext:
    """The page of one entry."""

    card: Card
    body: Markup
    contents: tuple[Heading, ...]
    index: Link
    outside: tuple[Link, ...] = ()
    corrections: tuple[Correction, ...] = ()
    sources: tuple[Source, ...] = ()
    history: tuple[Dated, ...] = ()
    backlinks: tuple[Backlink, ...] = ()
    earlier: Link | None = None
    later: Link | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a list under its heading: a level of the glossary, a quarter, a month, a topic."""

    label: str
    cards: tuple[Card, ...]
    id: str = ""
    body: tuple[Markup, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline: an entry that came or changed, or a heading of a log."""

    date: str
    title: str
    href: str
    label: str
    says: str = ""

    @property
    def month(self) -> str:
        """Return year and month of the day."""
        return self.date[:7]


@dataclass(frozen=True, slots=True)
class HomeContext:
    """The first page. `claims` are live pieces, in full; `intro` is the text of the page `pages/home.md` where there is one."""

    intro: Markup
    events: tuple[Event, ...]
    studies: tuple[Card, ...]
    claims: tuple[Markup, ...]
    levels: tuple[Part, ...]
    papers: tuple[Card, ...]
    n_entries: int


@dataclass(frozen=True, slots=True)
class ListContext:
    """A list of entries in parts; the log has `events` too, the glossary its map, and achievements the texts of each part."""

    parts: tuple[Part, ...]
    events: tuple[Event, ...] = ()
    map: Markup | None = None


@dataclass(frozen=True, slots=True)
class TagsContext:
    """All tags with the number of entries that carry each; the page of one tag shows its `cards`."""

    tags: tuple[Link, ...]
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchContext:
    """The page of the search, which without a script is an index of names."""

    names: tuple[Link, ...]
