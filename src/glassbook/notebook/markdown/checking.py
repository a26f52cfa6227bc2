"""What can only be checked when the whole page is written: its links to itself, and its notes."""

from difflib import get_close_matches

from glassbook.notebook.markdown.page import Page

# A link to words of the page, which the browser looks for by itself.
_TO_WORDS = ":~:text="


def check_page(page: Page) -> None:
    """Keep a fault for every link to a place that the page lacks, and for every note that nobody would read."""
    for anchor, line in page.local_links:
        name = anchor.partition(_TO_WORDS)[0]
        if name and name not in page.ids.taken:
            near = get_close_matches(name, sorted(page.ids.taken), n=1)
            hint = f"did you mean '#{near[0]}'?" if near else "correct the link, or give that place an id"
            page.fault(f"no place on this page is called '#{name}'; {hint}", line)
    for label, line in page.notes.repeated:
        page.fault(f"the footnote [^{label}] stands here a second time; give it another label", page.first_line + line)
    for label, note in page.notes.by_label.items():
        if not note.places:
            told = f"nothing in the text refers to the footnote [^{label}]; refer to it or take it out"
            page.fault(told, page.first_line + note.line)
