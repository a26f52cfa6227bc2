"""The sentences of a paragraph, and the one around a place in it."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

# A full stop after these does not end a sentence. All in lower case, without the stop itself.
_SHORT = (
    "e.g i.e cf al vs approx ca resp fig figs eq eqs sec secs ch chap chs app tab no nos vol vols pp p ed eds dr prof mr mrs ms "
    "st jr sr dept univ inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec ref refs thm prop def lem cor incl viz"
)
_ABBREVIATIONS = frozenset(_SHORT.split())
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s+[\"'“‘«(\[$\\]*[^\s\"'“‘«(\[a-zß-öø-ÿ])")
_LAST_WORD = re.compile(r"[^\s(\[“‘«\"']+$")
_INITIAL = re.compile(r"(?:[A-Z]\.)*[A-Z]$")

# So many characters of a sentence stand before and after the place that is asked for, at most.
LONGEST = 240

Span = tuple[int, int]


class Sentences:
    """A paragraph parted into its sentences; nothing ends within a span of `whole`, such as a formula."""

    def __init__(self, text: str, whole: Sequence[Span] = ()) -> None:
        self._text = text
        begins = [start for start, _ in whole]
        ends = [match.end() for match in _END.finditer(text) if _ends_there(text, match)]
        self._ends = [end for end in ends if not _is_within(end, begins, whole)] + [len(text)]

    def around(self, place: Span) -> str:
        """Return the sentence that holds `place`, or those that it reaches over; of a very long one what is near."""
        first, last = bisect_right(self._ends, place[0]), bisect_left(self._ends, place[1])
        start = self._ends[first - 1] if first else 0
        end = self._ends[min(last, len(self._ends) - 1)]
        near, far = max(start, place[0] - LONGEST), min(end, place[1] + LONGEST)
        before, after = "…" if near > start else "", "…" if far < end else ""
        return before + " ".join(self._text[near:far].split()) + after

    def all(self) -> list[str]:
        """Return every sentence."""
        return [
            " ".join(self._text[start:end].split()) for start, end in zip([0, *self._ends], self._ends, strict=False)
        ]


def _is_within(end: int, begins: Sequence[int], whole: Sequence[Span]) -> bool:
    before = bisect_left(begins, end) - 1
    return before >= 0 and end < whole[before][1]


def _ends_there(text: str, match: re.Match[str]) -> bool:
    """Return whether the stop ends a sentence, and is not that of an abbreviation or of an initial."""
    if not match[0].startswith(".") or match[0].startswith(".."):
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 40), match.start())
    if word is None:
        return True
    return word[0].lower() not in _ABBREVIATIONS and not _INITIAL.match(word[0])
