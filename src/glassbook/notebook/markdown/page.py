"""What one page knows while it is made: what it asked, what it found, what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from markdown_it.token import Token
from markupsafe import Markup, escape

from glassbook.core.errors import GlassbookError
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown.footnotes import Notes
from glassbook.notebook.markdown.headings import Ids
from glassbook.notebook.markdown.katex import Formulas
from glassbook.notebook.markdown.resolving import Resolver
from glassbook.notebook.markdown.sanitizing import Vault

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mention whose sentence is cut out when the whole paragraph is known."""

    slug: str
    anchor: str
    token: Token
    block: Token
    line: int


@dataclass(slots=True)
class Page:
    """The state of one page. `block` is the paragraph that is being rendered, `first_line` where the text begins in its file."""

    resolver: Resolver
    formulas: Formulas
    path: str
    first_line: int
    notes: Notes = field(default_factory=Notes)
    vault: Vault = field(default_factory=Vault)
    ids: Ids = field(default_factory=Ids)
    faults: list[NotebookError] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    mentions: list[Waiting] = field(default_factory=list)
    cited: dict[str, None] = field(default_factory=dict)
    unresolved: list[tuple[str, str, int]] = field(default_factory=list)
    local_links: list[tuple[str, int]] = field(default_factory=list)
    has_maths: bool = False
    block: Token | None = None
    counted: tuple[Token | None, int, int] = (None, 0, 0)

    def line(self, offset: int = 0) -> int:
        """Return the line of the file on which the character `offset` of the present paragraph stands."""
        block = self.block
        if block is None or block.map is None:
            return self.first_line
        # Counted on from where the last answer ended, since a long paragraph may ask thousands of times.
        last, start, count = self.counted
        if last is not block or offset < start:
            start = count = 0
        count += block.content.count("\n", start, offset)
        self.counted = (block, offset, count)
        return self.first_line + block.map[0] + count

    def ask(self, question: Callable[[], T], line: int) -> T | None:
        """Return the answer; where there is none, None, and the fault is kept with its place to be told with all others."""
        try:
            return question()
        except NotebookError as fault:
            self.faults += [single.at(self.path, line) for single in fault.faults]
        except GlassbookError as fault:
            # A claim or a picture that the rooms below cannot read is a fault of the text that asked for it.
            self.fault(str(fault), line)
        return None

    def fault(self, sentence: str, line: int) -> None:
        """Keep one fault of the text."""
        self.faults.append(NotebookError(sentence, path=self.path, line=line))

    def keep(self, piece: Markup) -> str:
        """Return the mark of a trusted piece, which takes its place after the text is sanitized."""
        return self.vault.keep(piece)

    def formula(self, tex: str, display: bool, line: int) -> str:
        """Return the mark of a formula; of a wrong one the TeX, which nobody sees since the page is not built."""
        self.has_maths = True
        html = self.ask(lambda: self.formulas.html(tex, display=display), line)
        return self.keep(html) if html is not None else str(escape(tex))

    def missing(self, address: str, shown: str, line: int) -> None:
        """Note a link or picture that leads nowhere."""
        self.unresolved.append((address, shown, line))
