"""What links to what: the sentences in which entries mention each other, and links to headings that are not there."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from glassbook.notebook.entries import Entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Rendered


@dataclass(frozen=True, slots=True)
class Backlink:
    """One mention, seen from the entry that is mentioned: who mentions it, and in which sentence."""

    source: str
    sentence: str


def backlinks(rendered: Mapping[str, Rendered]) -> dict[str, tuple[Backlink, ...]]:
    """Return the mentions of every entry, by slug: one for each other entry that mentions it, the first sentence of each."""
    found: dict[str, dict[str, Backlink]] = defaultdict(dict)
    for source, page in sorted(rendered.items()):
        for mention in page.mentions:
            if mention.slug != source:
                found[mention.slug].setdefault(source, Backlink(source, mention.sentence))
    return {slug: tuple(mentions.values()) for slug, mentions in found.items()}


def lost_anchors(entries: Mapping[str, Entry], rendered: Mapping[str, Rendered]) -> list[NotebookError]:
    """Return a fault for every link to a heading or id that the page it leads to does not have."""
    faults = []
    for source, page in sorted(rendered.items()):
        for mention in page.mentions:
            anchors = rendered[mention.slug].anchors if mention.slug in rendered else frozenset[str]()
            if mention.anchor and mention.slug in rendered and mention.anchor not in anchors:
                near = get_close_matches(mention.anchor, sorted(anchors), n=1)
                hint = f"; did you mean '#{near[0]}'?" if near else ""
                sentence = f"'{mention.slug}' has no heading or id '{mention.anchor}'{hint}"
                faults.append(NotebookError(sentence, path=str(entries[source].path), line=mention.line))
    return faults
