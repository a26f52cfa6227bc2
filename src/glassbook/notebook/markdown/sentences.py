"""The sentence around a place in a paragraph."""

import re
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

Span = tuple[int, int]


def sentence_around(text: str, place: Span, whole: Sequence[Span] = ()) -> str:
    """Return the sentence of `text` that holds `place`; nothing ends within a span of `whole`, such as a formula."""
    start = 0
    for end in sentence_ends(text, whole):
        if end >= place[1]:
            return " ".join(text[start:end].split())
        if end <= place[0]:
            start = end
    return " ".join(text[start:].split())


def sentence_ends(text: str, whole: Sequence[Span] = ()) -> list[int]:
    """Return where the sentences of `text` end."""
    ends = [match.end() for match in _END.finditer(text) if _ends_there(text, match)]
    return [end for end in [*ends, len(text)] if not any(start < end < stop for start, stop in whole)]


def _ends_there(text: str, match: re.Match[str]) -> bool:
    """Return whether the stop ends a sentence, and is not that of an abbreviation or of an initial."""
    if not match[0].startswith(".") or match[0].startswith(".."):
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 40), match.start())
    if word is None:
        return True
    return word[0].lower() not in _ABBREVIATIONS and not _INITIAL.match(word[0])
