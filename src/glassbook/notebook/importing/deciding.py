"""Which parts of a page become entries, and of which kind: decided by the words of headings and the shape of lists."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from glassbook.notebook.importing.describing import describe_item, describe_section, title_of
from glassbook.notebook.importing.dialect import Page
from glassbook.notebook.importing.leads import Lead, ids_of, lead, only_link, plain_ids
from glassbook.notebook.importing.outline import Block, Heading, Section, held_ranges
from glassbook.notebook.importing.periods import Period, find_period, whole_period
from glassbook.notebook.importing.words import begins_as_note, is_increasing, kinds_named

_PAPERS_STAND = re.compile(
    r"arxiv\.org|doi\.org|openreview\.net|aclanthology\.org|proceedings|transformer-circuits\.pub|\.pdf(?:$|[?#])",
    re.IGNORECASE,
)
_GROUPED = ("meeting", "post", "project")
_BESIDE = ("paragraph", "blockquote", "fence", "code_block", "maths_block", "table")


@dataclass(frozen=True, slots=True)
class Part:
    """What is cut out of a page to be an entry: its lines from `start` to before `end`, and what is known of it.

    `kept_ids` are those of a heading that becomes the title; None where the heading stays in the text.
    """

    kind: str
    title: str
    start: int
    end: int
    fields: dict[str, Any]
    heading: Heading | None = None
    kept_ids: tuple[str, ...] | None = None

    @property
    def is_item(self) -> bool:
        """Return whether the part was an item of a list."""
        return self.heading is None

    @property
    def title_heading(self) -> Heading | None:
        """Return the heading that leaves the text, since the title says what it said."""
        return self.heading if self.kept_ids is not None else None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something a person should look at: the line of the page, counted from 0, and a sentence."""

    line: int
    sentence: str


@dataclass(slots=True)
class Decision:
    """The parts of a page in its order, and what was doubtful."""

    parts: list[Part] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)


def decide(page: Page, root: Section, titled: tuple[str, Heading | None], is_here: Callable[[str], bool]) -> Decision:
    """Return what becomes of the parts of a page.

    `titled` are its title and the heading that says it, if one does; `is_here` says whether an address leads to a page of the
    same import.
    """
    walk = _Walk(page, titled[1], is_here)
    named = kinds_named(titled[0])
    walk.visit(root, named[0] if len(named) == 1 and named[0] != "log" else None, ())
    walk.decision.parts.sort(key=lambda part: part.start)
    return walk.decision


class _Walk:
    def __init__(self, page: Page, title: Heading | None, is_here: Callable[[str], bool]) -> None:
        self.page, self.title, self.is_here = page, title, is_here
        self.held = held_ranges(page)
        self.decision = Decision()
        self.extended = -1  # the first line of the item that was last found to go on after its list

    def visit(self, section: Section, kind: str | None, trail: tuple[str, ...]) -> None:
        """Cut what can be cut out of a section that stands in a collection of `kind`."""
        if section.heading is not None and section.heading != self.title:
            text = section.heading.text
            named = kinds_named(text, kind)
            own = self._entry_kind(section, kind, named)
            if own is not None:
                self._cut_section(section, own, trail)
                return
            if not named and kind is None and not section.sections and any(block.is_item for block in section.blocks):
                self._doubt(section.start, f"it is not clear what '{text}' lists; it stays on the page")
            kind = named[0] if len(named) == 1 else None if named else kind
            trail = (*trail, text) if not named else ()
        begun = len(self.decision.parts)
        self._cut_items(section, kind, trail)
        for inner in section.sections:
            self.visit(inner, kind, trail)
        if kind == "term" and (section.heading is None or kinds_named(section.heading.text)):
            self._number_terms(section, begun)

    def _entry_kind(self, section: Section, kind: str | None, named: tuple[str, ...]) -> str | None:
        """Return the kind of entry that a whole section is; None where it is a collection, or prose of the page."""
        heading = section.heading
        if heading is None or not title_of(heading):
            return None
        items = [block for block in section.blocks if block.is_item]
        if kind in _GROUPED and (not named or not (items or section.sections)):
            return kind
        if named:
            return None
        if kind == "paper":
            return "paper" if _is_paper(section) else None
        if kind == "term":
            return "term" if _is_term(section) else None
        if kind in ("log", "achievement", None) and period_of(heading, strict=kind is None):
            return kind or "log"
        return None

    def _cut_section(self, section: Section, kind: str, trail: tuple[str, ...]) -> None:
        heading = section.heading
        if heading is None or self._is_torn(section.start, section.end, title_of(heading)):
            return
        ids = plain_ids(heading)
        fields = describe_section(section, kind, trail, period_of(heading))
        self._note_quarter(section.start, kind, period_of(heading))
        kept = tuple(ids) if ids is not None else None
        self.decision.parts.append(Part(kind, title_of(heading), section.start, section.end, fields, heading, kept))

    def _cut_items(self, section: Section, kind: str | None, trail: tuple[str, ...]) -> None:
        last: Part | None = None
        for block in section.blocks:
            if block.is_item:
                last = self._item(block, kind, trail) if kind else None
                if last is not None:
                    self.decision.parts.append(last)
            elif last is not None and last.kind in ("paper", "term") and self._belongs(block, last):
                last, self.extended = replace(last, end=block.end), last.start
                self.decision.parts[-1] = last
                self._doubt(block.start, f"what follows '{last.title}' without an indent was taken to belong to it")
            else:
                last = None

    def _belongs(self, block: Block, last: Part) -> bool:
        """Return whether a block after a list goes on with its last item, whose text announced it or whose note it is."""
        if block.kind not in _BESIDE or self._is_torn(last.start, block.end, last.title):
            return False
        before = "\n".join(self.page.lines[last.start : last.end]).rstrip()
        goes_on = before.endswith(":") or begins_as_note(block.text) or self.extended == last.start
        return goes_on or block.kind == "blockquote" or block.is_picture

    def _item(self, block: Block, kind: str, trail: tuple[str, ...]) -> Part | None:
        begin = lead(block)
        if begin is None or block.text.startswith(("[ ]", "[x]", "[X]")):
            self._doubt(block.start, f"an item among the {kind} entries has no name of its own; it stays on the page")
            return None
        period = whole_period(begin.name) if begin.is_parted else None
        if not self._is_entry(block, kind, begin, period) or self._is_torn(block.start, block.end, begin.name):
            return None
        fields = describe_item(block, kind, begin, trail, period)
        self._note_quarter(block.start, kind, period)
        title = fields.pop("title")
        return Part(kind, title, block.start, block.end, fields)

    def _is_entry(self, block: Block, kind: str, begin: Lead, period: Period | None) -> bool:
        """Return whether an item says enough to be an entry; a pointer to what is imported beside it is none."""
        if kind in ("log", "achievement"):
            return period is not None
        address = only_link(block)
        if kind in ("post", "project") and address is not None and self.is_here(address):
            return False
        if kind == "paper" and begin.url is None and _lists_links(block):
            self._doubt(block.start, f"'{begin.name}' seems to be a group of papers; it stays on the page whole")
            return False
        if begin.url is None and not begin.is_parted and kind != "paper":
            self._doubt(block.start, f"of '{begin.name}' there is only the name; it stays on the page")
            return False
        if kind == "paper" and begin.url is None:
            self._doubt(block.start, f"'{begin.name}' stands among the papers and leads to none")
        return True

    def _is_torn(self, start: int, end: int, name: str) -> bool:
        """Return whether raw HTML that is opened here is closed elsewhere, or the other way round."""
        for first, last in self.held:
            if first < end and start < last and not (start <= first and last <= end):
                self._doubt(start, f"'{name}' shares a raw HTML element with what is around it; it stays on the page")
                return True
        return False

    def _note_quarter(self, line: int, kind: str, period: Period | None) -> None:
        if kind == "achievement" and period is not None and not period.fits_a_quarter:
            self._doubt(line, f"'{period.words}' is no quarter; it was filed under {period.quarter}, in which it ends")

    def _number_terms(self, section: Section, begun: int) -> None:
        """Give the terms of a collection their levels by their order, the first being the most high-level."""
        parts = self.decision.parts
        terms = [index for index in range(begun, len(parts)) if parts[index].kind == "term"]
        terms = [index for index in terms if "level" not in parts[index].fields]
        words = " ".join(block.text for block in section.blocks if not block.is_item)
        ordered = terms[::-1] if is_increasing(words) else terms
        for level, index in enumerate(ordered, 1):
            parts[index] = replace(parts[index], fields={**parts[index].fields, "level": level})

    def _doubt(self, line: int, sentence: str) -> None:
        self.decision.doubts.append(Doubt(line, sentence))


def period_of(heading: Heading, strict: bool = False) -> Period | None:
    """Return the period that a heading names in its words or its id; `strict` where it must say nothing else."""
    ids = ids_of(heading)
    by_id = next((period for name in ids if (period := whole_period(name))), None)
    found = whole_period(heading.text)
    return found or by_id or (None if strict else find_period(heading.text))


def _is_paper(section: Section) -> bool:
    heading = section.heading
    has_link = heading is not None and any(token.type == "link_open" for token in heading.children)
    if section.sections:
        return has_link and all(begins_as_note(inner.heading.text + ":") for inner in section.sections if inner.heading)
    if has_link or any(begins_as_note(block.text) for block in section.blocks):
        return True
    first = next((block for block in section.blocks), None)
    return first is not None and not first.is_item and _leads_to_paper(first)


def _leads_to_paper(block: Block) -> bool:
    """Return whether a paragraph has a link to where papers stand, as the line of authors below a title does."""
    links = (child for token in block.tokens for child in token.children or () if child.type == "link_open")
    return any(_PAPERS_STAND.search(str(link.attrs.get("href", ""))) for link in links)


def _is_term(section: Section) -> bool:
    items = [lead(block) for block in section.blocks if block.is_item]
    groups = sum(begin is not None and begin.is_parted for begin in items)
    return not section.sections and bool(section.blocks) and not section.blocks[0].is_item and groups < 2


def _lists_links(block: Block) -> bool:
    """Return whether an item holds a list of which every item begins with a link."""
    opens = [index for index, token in enumerate(block.tokens) if token.type == "list_item_open"][1:]
    links = 0
    for index in opens:
        text = next((token for token in block.tokens[index:] if token.type == "inline"), None)
        links += bool(text and text.children and text.children[0].type == "link_open")
    return len(opens) > 1 and links == len(opens)
