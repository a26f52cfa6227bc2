"""The parser of the notebook's Markdown, made once: CommonMark and what our modules add to it."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin

from glassbook.notebook.markdown.blocks import add_blocks
from glassbook.notebook.markdown.callouts import add_callouts
from glassbook.notebook.markdown.citations import add_citations
from glassbook.notebook.markdown.footnotes import add_footnotes
from glassbook.notebook.markdown.live_pieces import add_live_pieces
from glassbook.notebook.markdown.maths import add_maths
from glassbook.notebook.markdown.places import keep_places
from glassbook.notebook.markdown.wiki_links import add_wiki_links

MAX_NESTING = 100


@cache
def commonmark() -> MarkdownIt:
    """Return the parser of CommonMark 0.31.2 alone, with the specification's own way to write HTML."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING})
    # An empty quote has its two tags on two lines, which matters to nobody but the specification's examples.
    parser.add_render_rule("blockquote_open", _open_quote)
    return parser


def _open_quote(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return renderer.renderToken(tokens, index, options, env).rstrip("\n") + "\n"


@cache
def notebook_parser() -> MarkdownIt:
    """Return the parser of entries, one for the whole process since making it costs more than a page."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    deflist_plugin(parser)
    add_footnotes(parser)
    add_maths(parser)
    add_wiki_links(parser)
    add_citations(parser)
    add_live_pieces(parser)
    add_callouts(parser)
    add_blocks(parser)
    keep_places(parser)
    return parser
