"""How blocks are written, and all rules together. The classes that the site's style knows are in this and its neighbours."""

from html import escape

from markdown_it.token import Token

from glassbook.notebook.markdown import html_tags, links, notes
from glassbook.notebook.markdown.headings import slug
from glassbook.notebook.markdown.highlighting import highlighted
from glassbook.notebook.markdown.plain import plain
from glassbook.notebook.markdown.writer import Rule, Writer, plain_tag, tag

_SIDES = {"text-align:left": "left", "text-align:center": "center", "text-align:right": "right"}


def write_text(writer: Writer, token: Token) -> str:
    """Write words."""
    return escape(token.content)


def write_code(writer: Writer, token: Token) -> str:
    """Write code within a sentence."""
    return f"<code>{escape(token.content)}</code>"


def write_soft_break(writer: Writer, token: Token) -> str:
    """Write the end of a line that is only where its author pressed the key."""
    return "\n"


def open_paragraph(writer: Writer, token: Token) -> str:
    """Write the opening of a paragraph; one that holds a picture made of blocks is no `p`, which may hold none."""
    if token.hidden or "alone" in token.meta:
        return '<div class="formula" tabindex="0">' if token.meta.get("alone") == "maths" else ""
    return '<div class="paragraph">' if "blocks" in token.meta else "<p>"


def close_paragraph(writer: Writer, token: Token) -> str:
    """Write the end of a paragraph."""
    if token.hidden or "alone" in token.meta:
        return "</div>\n" if token.meta.get("alone") == "maths" else "\n"
    return "</div>\n" if "blocks" in token.meta else "</p>\n"


def open_heading(writer: Writer, token: Token) -> str:
    """Write the opening of a heading with an id that no other place of the page has."""
    page, text = writer.page, token.meta["text"]
    shown = " ".join(plain(text.children or ()).split())
    wanted = slug(shown)
    inside = {
        found for child in text.children or () if child.type == "html_inline" for found in html_tags.ids_of(child)
    }
    own = wanted in inside and page.ids.is_reserved(wanted)
    made = wanted if own else page.ids.make(wanted)
    page.headings.append((int(token.tag[1]), made, shown))
    return tag(token.tag) if own else tag(token.tag, id=made)


def close_heading(writer: Writer, token: Token) -> str:
    """Write the end of a heading with a link to it, for those who want to point others there."""
    _, made, shown = writer.page.headings[-1]
    link = tag("a", class_="anchor", href="#" + made, aria_label=f"Link to the section {shown}")
    return f" {link}#</a>{plain_tag(token)}"


def write_fence(writer: Writer, token: Token) -> str:
    """Write a block of code in the language that its first line names."""
    language = token.info.split()[0].lower() if token.info.split() else ""
    bar = f'<div class="code-bar"><span>{escape(language)}</span></div>' if language not in ("", "text") else ""
    return f'<div class="code"><pre tabindex="0"><code>{highlighted(token.content, language)}</code></pre>{bar}</div>\n'


def write_formula(writer: Writer, token: Token) -> str:
    """Write a formula on lines of its own."""
    line = writer.page.first_line + (token.map or [0])[0]
    return f'<div class="formula" tabindex="0">{writer.page.formula(token.content, True, line)}</div>\n'


def open_table(writer: Writer, token: Token) -> str:
    """Write the opening of a table, in a box that may scroll where the page is narrow."""
    return '<div class="scroll" role="group" aria-label="Table" tabindex="0"><table>\n'


def close_table(writer: Writer, token: Token) -> str:
    """Write the end of a table."""
    return "</table></div>\n"


def open_cell(writer: Writer, token: Token) -> str:
    """Write the opening of a cell with the side on which its column stands."""
    side = _SIDES.get(str(token.attrs.get("style", "")), "")
    return tag(token.tag, **({"class_": side} if side else {}), **({"scope": "col"} if token.tag == "th" else {}))


def open_item(writer: Writer, token: Token) -> str:
    """Write the opening of an item of a list, with a mark where it is a task."""
    state = token.meta.get("task")
    if state is None:
        return "<li>"
    checked = {"checked": ""} if state == "done" else {}
    return "<li>" + tag("input", type="checkbox", disabled="", aria_label=state, **checked)


def open_callout(writer: Writer, token: Token) -> str:
    """Write the opening of a callout."""
    return tag("div", class_=f"callout {token.meta['kind']}", role="note")


def open_callout_title(writer: Writer, token: Token) -> str:
    """Write the opening of a callout's first line."""
    return '<p class="callout-title">'


RULES: dict[str, Rule] = {
    "text": write_text,
    "code_inline": write_code,
    "softbreak": write_soft_break,
    "hardbreak": lambda writer, token: "<br>\n",
    "paragraph_open": open_paragraph,
    "paragraph_close": close_paragraph,
    "heading_open": open_heading,
    "heading_close": close_heading,
    "fence": write_fence,
    "code_block": write_fence,
    "maths_block": write_formula,
    "table_open": open_table,
    "table_close": close_table,
    "th_open": open_cell,
    "td_open": open_cell,
    "list_item_open": open_item,
    "callout_open": open_callout,
    "callout_title_open": open_callout_title,
    **html_tags.RULES,
    **links.RULES,
    **notes.RULES,
}
