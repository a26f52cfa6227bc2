"""How footnotes are written: a number in the text, the note at the end, and a copy of short notes for the margin.

The style shows one of the two. What only the eye needs is hidden from readers of the screen, so the copy is never read twice.
"""

import re
from html import escape

from markdown_it.token import Token

from glassbook.notebook.markdown.footnotes import Note
from glassbook.notebook.markdown.writer import Rule, Writer

_SIMPLE_BLOCKS = frozenset({"paragraph_open", "inline", "paragraph_close"})
_HEAVY = frozenset({"live", "number", "image", "footnote_ref", "html_inline"})
_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r' id="[^"]*"')


def write_reference(writer: Writer, token: Token) -> str:
    """Write the number of a note; where it is met first, its copy for the margin follows."""
    page, label = writer.page, token.meta["label"] if "label" in token.meta else f"^{token.meta['id']}"
    note = page.notes.by_label[label]
    first = not note.references
    note.references += 1
    if first:
        note.number = 1 + max((other.number for other in page.notes.by_label.values()), default=0)
        note.id = page.ids.make(f"fn-{note.number}")
        note.html = writer.within().blocks(note.tokens)
        note.in_margin = writer.margin and _is_simple(note)
    here = page.ids.make(f"fnref-{note.number}")
    note.places.append(here)
    mark = f'<sup class="footnote-ref"><a href="#{note.id}" id="{here}">{note.number}</a></sup>'
    return mark + _copy(note) if first and note.in_margin else mark


def _is_simple(note: Note) -> bool:
    """Return whether a note is only paragraphs of words, so that it can stand in the margin of a sentence."""
    return all(
        token.type in _SIMPLE_BLOCKS and not any(child.type in _HEAVY for child in token.children or ())
        for token in note.tokens
    )


def _copy(note: Note) -> str:
    text = note.html.strip().removeprefix("<p>").removesuffix("</p>").replace("</p>\n<p>", "<br>")
    quiet = _TAG.sub(lambda found: _ID.sub("", found[0]).replace("<a ", '<a tabindex="-1" '), text)
    return (
        f'<span class="sidenote" aria-hidden="true"><span class="sidenote-number">{note.number}</span> {quiet}</span>'
    )


def write_notes(writer: Writer) -> str:
    """Return the list of all notes that the text refers to, in the order in which it meets them."""
    notes = sorted(
        (note for note in writer.page.notes.by_label.values() if note.references), key=lambda note: note.number
    )
    if not notes:
        return ""
    items = "".join(_item(note) for note in notes)
    return f'<section class="footnotes" aria-label="Notes"><ol>{items}</ol></section>\n'


def _item(note: Note) -> str:
    many = len(note.places) > 1
    back = "".join(
        f' <a class="footnote-back" href="#{escape(place)}" aria-label="Back to note {note.number} in the text'
        f'{f", place {number}" if many else ""}">↩</a>'
        for number, place in enumerate(note.places, start=1)
    )
    html = note.html.rstrip()
    html = f"{html.removesuffix('</p>')}{back}</p>" if html.endswith("</p>") else html + back
    kind = ' class="in-margin"' if note.in_margin else ""
    return f'<li id="{note.id}"{kind}>{html}</li>'


RULES: dict[str, Rule] = {"footnote_ref": write_reference}
