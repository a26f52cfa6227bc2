"""What a text asks of the notebook around it, and what it is answered."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from markupsafe import Markup

Live = Literal["claim", "view", "study"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a link leads: its address as seen from the page, and of an entry its title, slug and one-sentence definition."""

    href: str
    title: str
    slug: str = ""
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Cited:
    """A reference as the text names it ("Radford et al. 2019"), in full as plain text, and where it is listed or published."""

    key: str
    short: str
    full: str
    href: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Trusted HTML made by our own code from what a run measured, and the same in plain words.

    `block` is how it is shown where it stands alone on a line, if that is more than `html`.
    """

    html: Markup
    text: str
    block: Markup = field(default_factory=Markup)


@runtime_checkable
class Resolver(Protocol):
    """Every question a text asks. An answer that cannot be given is a NotebookError naming the nearest right name."""

    def entry(self, name: str, anchor: str = "") -> Target:
        """Return the entry whose slug, title or alias `name` is; `anchor` is an id on its page."""
        ...

    def file(self, path: str) -> Target | None:
        """Return where a relative link or an image leads; None where nothing stands there, which is shown as unresolved."""
        ...

    def citation(self, key: str) -> Cited:
        """Return the reference of `refs.bib` under `key`."""
        ...

    def live(self, what: Live, key: str) -> Piece:
        """Return the number, picture or table that `{{what key}}` names."""
        ...

    def number(self, place: str, field: str, text: str) -> Piece:
        """Return the number that `[text](run:place#field)` shows, leading to its run."""
        ...

    def picture(self, address: str) -> Piece:
        """Return the picture that `![alt](view:address)` names."""
        ...
