"""From the Markdown of one entry to the HTML of its page, with all that other pages want to know of it."""

from dataclasses import dataclass

from glassbook.notebook.markdown.resolving import Cited, Live, Piece, Resolver, Target

__all__ = [
    "Cited",
    "Heading",
    "Live",
    "Mention",
    "Piece",
    "Rendered",
    "Resolver",
    "Target",
    "Unresolved",
    "render",
]


@dataclass(frozen=True, slots=True)
class Heading:
    """One line of the contents: its level (1 to 6), the id that leads to it, and its plain text."""

    level: int
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A link to another entry with the plain sentence around it, for that entry's list of what links to it."""

    slug: str
    anchor: str
    sentence: str
    line: int


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A link or image to a file that is not there: its address as written, the words shown instead, and its line."""

    address: str
    shown: str
    line: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """The page of one entry: safe HTML, and what was found while it was made."""

    html: str
    contents: tuple[Heading, ...]
    anchors: frozenset[str]
    mentions: tuple[Mention, ...]
    cited: tuple[str, ...]
    has_maths: bool
    text: str
    unresolved: tuple[Unresolved, ...]


def render(body: str, resolver: Resolver, *, path: str = "", first_line: int = 1) -> Rendered:
    """Return the page of `body`, whose first line is line `first_line` of the file `path`.

    Every fault of the text is raised at once, as NotebookFaults.
    """
    raise NotImplementedError
