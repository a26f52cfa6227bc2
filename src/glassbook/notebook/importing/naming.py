"""Slugs: lower-case words joined by hyphens, each once in the whole notebook, and the same again at every import."""

import re
import unicodedata
from collections.abc import Mapping

from glassbook.notebook.entries import slug_of as entry_slug
from glassbook.notebook.importing.sources import Source

LONGEST = 80
_DATED = re.compile(r"^\d{4}-\d{2}-\d{2}-(?=.)")


def slug_of(title: str) -> str:
    """Return the slug of a title, cut after a word where it is long; accents go, letters of other scripts stay."""
    plain = unicodedata.normalize("NFKD", title.replace("'", "").replace("’", ""))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    slug = entry_slug(unicodedata.normalize("NFC", plain))
    if len(slug) <= LONGEST:
        return slug
    cut = slug[: LONGEST + 1].rpartition("-")[0] or slug[:LONGEST]
    return entry_slug(cut)


def page_slug(source: Source) -> str:
    """Return the slug of a whole page: the one its front matter names, else the name of its file or of its folder."""
    named = source.fields.get("slug")
    if isinstance(named, str) and slug_of(named) == named:
        return named
    stem = source.path.stem
    if stem.lower() in ("index", "readme", "_index"):
        stem = source.path.parent.name
    return slug_of(_DATED.sub("", stem))


class Slugs:
    """Hands out slugs: what an import before this one gave stays, and what others have is not given again."""

    def __init__(self, others: Mapping[str, str], kept: Mapping[str, str]) -> None:
        self._others, self._kept = others, kept
        self._taken: dict[str, str] = {slug: key for key, slug in kept.items()}
        self.clashes: list[str] = []

    def claim(self, key: str, wanted: str) -> str:
        """Return the slug of the entry that `key` names, `wanted` where that is free; a clash is noted."""
        slug, number = self._kept.get(key, wanted), 1
        while key not in self._kept and (slug in self._others or self._taken.get(slug, key) != key):
            number += 1
            slug = f"{wanted}-{number}"
        if slug != wanted:
            whose = self._others.get(wanted) or "another entry of this import"
            self.clashes.append(f"'{wanted}' is the name of {whose}, so {key} became '{slug}'")
        self._taken[slug] = key
        return slug
