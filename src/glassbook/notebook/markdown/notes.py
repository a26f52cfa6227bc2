"""How footnotes are written: a number in the text, and below the text the note with a way back.

Where there is room the site moves a note beside its number; it stands on the page only once, so nobody hears it twice.
"""

from html import escape

from markdown_it.token import Token

from glassbook.notebook.markdown.footnotes import Note, Notes
from glassbook.notebook.markdown.writer import Rule, Writer


def write_reference(writer: Writer, token: Token) -> str:
    """Write the number of a note, which is written itself where it is met first."""
    page, label = writer.page, token.meta["label"] if "label" in token.meta else f"^{token.meta['id']}"
    note = page.notes.by_label[label]
    if not note.places:
        note.number = page.notes.met = page.notes.met + 1
        note.id = page.ids.make(f"fn-{note.number}")
    here = page.ids.make(f"fnref-{note.number}")
    note.places.append(here)
    if len(note.places) == 1:
        for part in note.tokens:
            # A note written within the sentence stands on its line.
            part.map = part.map or (page.block.map if page.block else None)
        note.html = writer.within().blocks(note.tokens)
    return f'<sup class="footnote-ref"><a href="#{note.id}" id="{here}">{note.number}</a></sup>'


def write_notes(writer: Writer) -> str:
    """Return the list of all notes that the text refers to, in the order in which it meets them."""
    items = "".join(_item(note) for note in _in_order(writer.page.notes))
    return f'<section class="footnotes"><h2>Notes</h2><ol>{items}</ol></section>\n' if items else ""


def notes_in_order(notes: Notes) -> list[Token]:
    """Return the tokens of all notes that the text refers to, in the order in which it meets them."""
    return [token for note in _in_order(notes) for token in note.tokens]


def _in_order(notes: Notes) -> list[Note]:
    return sorted((note for note in notes.by_label.values() if note.places), key=lambda note: note.number)


def _item(note: Note) -> str:
    many = len(note.places) > 1
    back = "".join(
        f' <a class="backref" href="#{escape(place)}" aria-label="Back to note {note.number} in the text'
        f'{f", place {number}" if many else ""}">↩</a>'
        for number, place in enumerate(note.places, start=1)
    )
    html = note.html.rstrip()
    html = f"{html.removesuffix('</p>')}{back}</p>" if html.endswith("</p>") else html + back
    return f'<li id="{note.id}">{html}</li>'


RULES: dict[str, Rule] = {"footnote_ref": write_reference}
