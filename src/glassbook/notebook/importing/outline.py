"""The shape of a page: its headings as a tree, and under each the blocks and list items that stand there directly."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it.token import Token

from glassbook.notebook.importing.dialect import Page
from glassbook.notebook.importing.tags import COMMENT, TAG

_RAW_HEADING = re.compile(r"\s*<h(?P<level>[1-6])\b[^>]*>(?P<inside>.*)</h(?P=level)>\s*", re.IGNORECASE | re.DOTALL)
_MARKER = re.compile(r"(?P<indent> {0,3})(?P<marker>[-*+]|\d{1,9}[.)])(?P<gap>[ \t]+|$)")
_HELD_OPEN = re.compile(
    r"details|div|section|article|aside|blockquote|table|object|center|figure|ul|ol|dl|p|main|nav|header|footer"
)
_GIVEN_ID = re.compile(r"[ \t]*\{:?[ \t]*#(?P<id>[\w:.-]+)[^{}\n]*\}[ \t]*$")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level, its lines from `start` to before `end`, and the tokens of its text."""

    level: int
    start: int
    end: int
    content: str
    children: tuple[Token, ...]
    is_raw: bool = False

    @property
    def given_id(self) -> str | None:
        """Return the id that the heading names in braces at its end, as kramdown and Docusaurus read it."""
        match = None if self.is_raw else _GIVEN_ID.search(self.content)
        return match["id"] if match else None

    @property
    def text(self) -> str:
        """Return the heading as a reader sees it."""
        if self.is_raw:
            return _seen(TAG.sub("", COMMENT.sub("", self.content)))
        shown = _seen(flat(self.children))
        return _seen(_GIVEN_ID.sub("", shown)) if self.given_id else shown


@dataclass(frozen=True, slots=True)
class Block:
    """One block at the top of the page, or one item of a list there; `tokens` are those of its content."""

    kind: str
    start: int
    end: int
    tokens: tuple[Token, ...]

    @property
    def is_item(self) -> bool:
        """Return whether this is an item of a list or a term of a definition list."""
        return self.kind in ("item", "term")

    @property
    def is_picture(self) -> bool:
        """Return whether this is a paragraph of one picture."""
        children = self.tokens[1].children or [] if self.kind == "paragraph" else []
        return [child.type for child in children] == ["image"]

    @property
    def text(self) -> str:
        """Return the text of the block, its paragraphs parted by blank lines."""
        return "\n\n".join(filter(None, (_seen(flat(token.children or ())) for token in self.inlines())))

    def inlines(self) -> Iterator[Token]:
        """Yield the paragraphs, cells and other texts of the block."""
        return (token for token in self.tokens if token.type == "inline")


@dataclass(slots=True)
class Section:
    """A heading with what stands under it; the root has none and is the page itself."""

    heading: Heading | None
    start: int
    end: int
    blocks: list[Block] = field(default_factory=list)
    sections: list["Section"] = field(default_factory=list)

    @property
    def level(self) -> int:
        """Return the level of the heading, 0 for the page."""
        return self.heading.level if self.heading else 0

    def walk(self) -> Iterator["Section"]:
        """Yield this section and all within it, in the order of the page."""
        yield self
        for section in self.sections:
            yield from section.walk()


def outline(page: Page) -> Section:
    """Return the tree of the headings of a page."""
    root = Section(None, 0, len(page.lines))
    opened = [root]
    held = held_ranges(page)
    for block in _top_blocks(page):
        heading = _heading(block)
        if heading is None or any(start < heading.start < end for start, end in held):
            opened[-1].blocks += _split(block, page) if block.kind in _LISTS else [block]
            continue
        while opened[-1].level >= heading.level:
            opened.pop().end = heading.start
        section = Section(heading, heading.start, len(page.lines))
        opened[-1].sections.append(section)
        opened.append(section)
    return root


def held_ranges(page: Page) -> list[tuple[int, int]]:
    """Return the stretches of lines that a pair of raw tags holds together over several blocks, such as `<details>`."""
    opened: dict[str, list[int]] = {}
    ranges = []
    for token in page.tokens:
        if token.type != "html_block" or token.map is None:
            continue
        text = COMMENT.sub(lambda match: "\n" * match[0].count("\n"), "\n".join(page.lines[slice(*token.map)]))
        for tag in TAG.finditer(text):
            name = tag["name"].lower()
            line = token.map[0] + text.count("\n", 0, tag.start())
            if not _HELD_OPEN.fullmatch(name) or tag["attributes"].endswith("/"):
                continue
            if not tag["close"]:
                opened.setdefault(name, []).append(line)
            elif opened.get(name):
                ranges.append((opened[name].pop(), line + 1))
    return ranges


def headings(page: Page) -> Iterator[Heading]:
    """Yield every heading of the page, also those inside lists, quotes and raw blocks."""
    for index, token in enumerate(page.tokens):
        if token.type == "heading_open" and token.map:
            yield _written(token, page.tokens[index + 1])
        elif token.type == "html_block" and token.map:
            found = _raw_heading(token)
            if found:
                yield found


def flat(tokens: Sequence[Token]) -> str:
    """Return the text of inline tokens without their markup; of a picture, nothing."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline", "maths", "text_special"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts)


def marker(line: str) -> re.Match[str] | None:
    """Return how a line begins a list item: its indent, marker and gap."""
    return _MARKER.match(line)


_LISTS = ("bullet_list", "ordered_list", "dl")


def _seen(text: str) -> str:
    return " ".join(text.split())


def _top_blocks(page: Page) -> Iterator[Block]:
    """Yield the blocks that stand in no other."""
    begun = 0
    for index, token in enumerate(page.tokens):
        if token.level != 0 or token.type == "inline":
            continue
        if token.nesting == 1:
            begun = index
        else:
            first = page.tokens[begun if token.nesting == -1 else index]
            tokens = page.tokens[begun : index + 1] if token.nesting == -1 else [token]
            start, end = first.map or (0, 0)
            yield Block(first.type.removesuffix("_open"), start, end, tuple(tokens))


def _heading(block: Block) -> Heading | None:
    if block.kind == "heading":
        return _written(block.tokens[0], block.tokens[1])
    return _raw_heading(block.tokens[0]) if block.kind == "html_block" else None


def _written(opening: Token, text: Token) -> Heading:
    start, end = opening.map or (0, 0)
    if opening.markup in ("=", "-"):
        # Link definitions right above an underlined heading are counted among its lines by the parser.
        start = end - 2 - text.content.count("\n")
    return Heading(int(opening.tag[1]), start, end, text.content, tuple(text.children or ()))


def _raw_heading(token: Token) -> Heading | None:
    """Return the heading that a block of raw HTML is and nothing else."""
    match = _RAW_HEADING.fullmatch(token.content)
    if not match or re.search(r"<h[1-6]\b", match["inside"], re.IGNORECASE) or token.map is None:
        return None
    end = token.map[0] + token.content.rstrip("\n").count("\n") + 1
    return Heading(int(match["level"]), token.map[0], end, token.content.strip(), (), is_raw=True)


def _split(block: Block, page: Page) -> list[Block]:
    """Return the items of a list; the list as it is where its lines do not part into them."""
    opens, kind = ("dt_open", "term") if block.kind == "dl" else ("list_item_open", "item")
    level = block.tokens[0].level + 1
    at = [index for index, token in enumerate(block.tokens) if token.type == opens and token.level == level]
    starts = [(block.tokens[index].map or (0, 0))[0] for index in at]
    if kind == "item" and not all(marker(page.lines[start]) for start in starts):
        return [block]
    if starts != sorted(set(starts)) or starts[:1] != [block.start]:
        return [block]
    ends = [*starts[1:], block.end]
    stops = [*at[1:], len(block.tokens) - 1]
    return [
        Block(kind, start, end, block.tokens[first:stop])
        for start, end, first, stop in zip(starts, ends, at, stops, strict=True)
    ]
