"""The ids of a page: those its text writes, those its headings get, none of them twice."""

import re

_DROPPED = re.compile(r"[^\w\- ]")


def slug(text: str) -> str:
    """Return the id of a heading as GitHub writes it: lower case, punctuation dropped, a hyphen for every space."""
    return _DROPPED.sub("", " ".join(text.split()).lower()).replace(" ", "-") or "section"


class Ids:
    """Hands out every id of a page once. Those that its text writes come first: a heading gives way to them."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._written: set[str] = set()
        self._counts: dict[str, int] = {}

    def reserve(self, written: str) -> None:
        """Set an id aside for the raw HTML that gives it."""
        self._written.add(written)

    def is_reserved(self, name: str) -> bool:
        """Return whether raw HTML that is still to come gives this id."""
        return name in self._written

    def meet(self, written: str) -> bool:
        """Return whether raw HTML may give this id here: of two equal ones the first counts, as it does in a browser."""
        first = written in self._written
        self._written.discard(written)
        self.taken.add(written)
        return first

    def make(self, wanted: str) -> str:
        """Return `wanted`, or with the first number behind it that makes it new, and take it."""
        name = wanted
        while name in self.taken or name in self._written:
            self._counts[wanted] = self._counts.get(wanted, 0) + 1
            name = f"{wanted}-{self._counts[wanted]}"
        self.taken.add(name)
        return name
