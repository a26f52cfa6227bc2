"""Markdown as the notebook writes it: CommonMark with tables, notes, maths, citations, links between entries and live pieces."""

from glassbook.notebook.markdown.rendering import Heading, Mention, Rendered, Unresolved, render
from glassbook.notebook.markdown.resolving import Cited, Live, Piece, Resolver, Target

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
