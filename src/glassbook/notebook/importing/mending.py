"""What in a foreign page would mean something else here, or nothing: changed so that it reads as it did, line by line."""

import re
from dataclasses import dataclass

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing.deciding import Doubt
from glassbook.notebook.importing.dialect import Page
from glassbook.notebook.importing.outline import headings
from glassbook.notebook.markdown.katex import Formulas
from glassbook.notebook.markdown.raw_html import never_closed

MOST_FORMULAS = 2000
"""How many formulas of a page are tried; setting one takes milliseconds."""

_CLOSERS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}
_ENTITIES = {"[": "&#91;", "{": "&#123;"}
_GIVEN = re.compile(r"[ \t]*(\{:?[ \t]*#[\w:.-]+[^{}\n]*\})[ \t]*(?=#*[ \t]*$)")
_JSX = re.compile(r"<[A-Z][a-z][\w.]*[\s/>]|^import\s.+\sfrom\s+['\"]|^export\s+(?:const|default|function|let)\b|\{/\*")


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of the body and what stands there instead; neither reaches over the end of a line."""

    start: int
    end: int
    new: str


def apply(body: str, edits: list[Edit]) -> str:
    """Return `body` with all edits made; raise ValueError where two touch the same characters."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at or "\n" in edit.new or "\n" in body[edit.start : edit.end]:
            raise ValueError(f"two edits meet at {edit.start}, or one reaches over a line")
        parts += [body[at : edit.start], edit.new]
        at = edit.end
    return "".join([*parts, body[at:]])


def mend(page: Page, known: frozenset[str]) -> tuple[list[Edit], list[Doubt]]:
    """Return the edits that keep the text of a page what it was, and what they mean for a person.

    `known` are the spellings `[[…]]` and `[@…]` that mean something in this notebook and stay.
    """
    edits: list[Edit] = []
    doubts: list[Doubt] = []
    for found in page.foreign:
        if found.text not in known:
            edits.append(Edit(found.start, found.start + 1, _ENTITIES[found.text[0]]))
            doubts.append(
                Doubt(found.line, f"'{found.text}' means nothing in this notebook and is shown as it is written")
            )
    doubts += _doubtful_formulas(page)
    _mend_headings(page, edits)
    _mend_html(page, edits, doubts)
    _mend_notes(page, edits, doubts)
    code = {
        line for token in page.tokens if token.type in ("fence", "code_block") for line in range(*(token.map or (0, 0)))
    }
    for line, text in enumerate(page.lines):
        if line not in code and _JSX.search(text):
            doubts.append(Doubt(line, f"'{text.strip()[:60]}' is code of another site's pages and was kept as text"))
    return edits, doubts


def _doubtful_formulas(page: Page) -> list[Doubt]:
    """Return a doubt for each formula that cannot be set; it stays as it is, and a build will ask for it to be mended."""
    formulas, doubts, tried = Formulas(), [], 0
    for token in page.tokens:
        for found in [token, *(token.children or ())]:
            if not found.type.startswith("maths") or (tried := tried + 1) > MOST_FORMULAS:
                continue
            try:
                formulas.html(found.content, display=found.meta["display"])
            except NotebookError as fault:
                before = token.content.count("\n", 0, found.meta.get("offset", 0)) if found is not token else 0
                doubts.append(
                    Doubt((token.map or (0, 0))[0] + before, f"{fault.sentence}; mend it before the next build")
                )
    return doubts


def _mend_headings(page: Page, edits: list[Edit]) -> None:
    """Turn an id in braces at the end of a heading, which would be shown, into an id."""
    starts = _starts(page)
    for heading in headings(page):
        if heading.given_id is None:
            continue
        line = next(at for at in range(heading.end - 1, heading.start - 1, -1) if _GIVEN.search(page.lines[at]))
        match = _GIVEN.search(page.lines[line])
        first = page.lines[heading.start]
        at = starts[heading.start] + first.index(heading.content.split("\n")[0])
        if match:
            edits.append(Edit(at, at, f'<a id="{heading.given_id}"></a>'))
            edits.append(Edit(starts[line] + match.start(), starts[line] + match.end(1), ""))


def _mend_html(page: Page, edits: list[Edit], doubts: list[Doubt]) -> None:
    """Close raw HTML that would swallow all that follows it."""
    starts = _starts(page)
    for token in page.tokens:
        opened = never_closed(token.content) if token.type == "html_block" and token.map else ""
        if opened and token.map:
            last = max(line for line in range(*token.map) if page.lines[line].strip() or line == token.map[0])
            at = starts[last] + len(page.lines[last])
            name = re.match(r"<([a-z]+)", opened, re.IGNORECASE)
            edits.append(Edit(at, at, _CLOSERS.get(opened) or (f"</{name[1]}>" if name else ">")))
            doubts.append(Doubt(token.map[0], f"'{opened}' was never closed; it was closed where its block ends"))


def _mend_notes(page: Page, edits: list[Edit], doubts: list[Doubt]) -> None:
    """Write the footnotes that nothing refers to as the text that they are."""
    starts = _starts(page)
    done = 0
    for note in page.unread_notes():
        start, end = note.map or (0, 0)
        if start < done:
            continue  # a note within a note that is text by now
        done = end
        at = starts[start] + page.lines[start].index("[^")
        edits.append(Edit(at, at + 1, _ENTITIES["["]))
        for line in range(start + 1, end):
            blank = len(page.lines[line]) - len(page.lines[line].lstrip(" "))
            edits.append(Edit(starts[line], starts[line] + min(4, blank), ""))
        doubts.append(Doubt(start, f"nothing refers to the footnote [^{note.meta['label']}]; it is kept as text"))


def _starts(page: Page) -> list[int]:
    starts = [0]
    for line in page.lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts
