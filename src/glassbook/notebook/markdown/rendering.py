"""From the Markdown of one entry to the HTML of its page, with all that other pages want to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it.token import Token

from glassbook.notebook.faults import NotebookFaults
from glassbook.notebook.markdown.checking import check_page
from glassbook.notebook.markdown.html_tags import prepare
from glassbook.notebook.markdown.katex import Formulas
from glassbook.notebook.markdown.notes import notes_in_order, write_notes
from glassbook.notebook.markdown.page import Page, Waiting
from glassbook.notebook.markdown.parser import MAX_NESTING, notebook_parser
from glassbook.notebook.markdown.plain import plain_page, words
from glassbook.notebook.markdown.renderer import RULES
from glassbook.notebook.markdown.resolving import Cited, Live, Piece, Resolver, Target
from glassbook.notebook.markdown.sentences import Sentences
from glassbook.notebook.markdown.writer import Writer

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

# Nothing within these ends a sentence.
_WHOLE = frozenset({"maths", "code_inline", "live", "number", "citation"})


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


def render(
    body: str, resolver: Resolver, *, path: str = "", first_line: int = 1, formulas: Formulas | None = None
) -> Rendered:
    """Return the page of `body`, whose first line is line `first_line` of the file `path`.

    `formulas` sets maths and may keep it on disk; without it formulas are kept in memory. Every fault of the text is raised
    at once, as NotebookFaults.
    """
    parser = notebook_parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(body, env)
    page = Page(resolver, formulas or _in_memory(), path, first_line, notes=env["notes"])
    everything = [*tokens, *(token for note in page.notes.by_label.values() for token in note.tokens)]
    _check_depth(page, everything)
    prepare(page, everything)
    writer = Writer(page, RULES)
    html = writer.blocks(tokens)
    html = page.vault.sanitize(html + write_notes(writer))
    check_page(page)
    if page.faults:
        raise NotebookFaults(sorted(page.faults, key=lambda fault: fault.line))
    return Rendered(
        html=html,
        contents=tuple(Heading(*heading) for heading in page.headings),
        anchors=frozenset(page.ids.taken),
        mentions=_mentions(page.mentions),
        cited=tuple(page.cited),
        has_maths=page.has_maths,
        text=plain_page([*tokens, *notes_in_order(page.notes)]),
        unresolved=tuple(Unresolved(*found) for found in page.unresolved),
    )


@cache
def _in_memory() -> Formulas:
    return Formulas()


def _check_depth(page: Page, tokens: Sequence[Token]) -> None:
    """Keep a fault where quotes and lists lie so deep in each other that the parser reads no further."""
    deep = next((token for token in tokens if token.nesting == 1 and token.level >= MAX_NESTING - 1), None)
    if deep is not None:
        page.fault(f"quotes and lists lie {MAX_NESTING} deep in each other here; write it flatter", page.first_line)


def _mentions(waiting: Sequence[Waiting]) -> tuple[Mention, ...]:
    """Return mentions with the sentences around them, now that all words of their paragraphs are known."""
    known: dict[int, tuple[Sentences, dict[int, tuple[int, int]]]] = {}
    found: list[Mention] = []
    for one in waiting:
        if id(one.block) not in known:
            known[id(one.block)] = _sentences(one.block.children or [one.token])
        sentences, places = known[id(one.block)]
        sentence = sentences.around(places.get(id(one.token), (0, 1)))
        found.append(Mention(one.slug, one.anchor, sentence, one.line))
    return tuple(found)


def _sentences(children: Sequence[Token]) -> tuple[Sentences, dict[int, tuple[int, int]]]:
    """Return the sentences of a paragraph and where in its plain words each of its tokens stands."""
    parts: list[str] = []
    places: dict[int, tuple[int, int]] = {}
    whole: list[tuple[int, int]] = []
    length = 0
    for child in children:
        parts.append(words(child))
        places[id(child)] = (length, max(length + 1, length + len(parts[-1])))
        if child.type in _WHOLE:
            whole.append((length, length + len(parts[-1])))
        length += len(parts[-1])
    return Sentences("".join(parts), whole), places
