"""The words by which headings and notes tell what stands under them: data, and the few questions asked of it."""

import re

CONTAINERS: dict[str, tuple[str, ...]] = {
    "paper": ("papers", "paper", "paper notes", "reports", "publications", "reading list", "literature", "preprints"),
    "term": ("terms", "concepts", "glossary", "definitions", "terminology", "vocabulary", "jargon"),
    "log": ("logbook", "learning log", "study log", "research log", "diary", "timeline"),
    "achievement": ("achievements", "accomplishments", "milestones", "awards", "wins", "highlights"),
    "meeting": ("meetings", "people", "conversations", "coffee chats", "one on ones"),
    "post": ("posts", "blog", "blog posts", "essays", "writing", "writings", "distillations", "articles by me"),
    "project": (
        "projects",
        "camps",
        "teams",
        "classes",
        "courses",
        "fellowships",
        "workshops",
        "hackathons",
        "programs",
    ),
}
"""For every kind of entry, what a heading over a collection of such entries says."""

_LONGEST_NAME = 9
_LOG = re.compile(
    r"(?:my )?(?:learning )?(?:log|notebook|journal)"
    r"|(?:what )?(?:i'm|i am|i have been|i've been)?(?: currently)? ?learning(?: currently| now)?"
)
# "Learning" alone is a log; "machine learning" is a subject.

FOLDERS: dict[str, str] = {
    "posts": "post",
    "_posts": "post",
    "post": "post",
    "blog": "post",
    "articles": "post",
    "essays": "post",
    "writing": "post",
}
"""Folders whose pages are each one entry of a kind."""

STATUSES: tuple[tuple[str, str], ...] = (
    ("to read", "to read"),
    ("want to read", "to read"),
    ("reading list", "to read"),
    ("currently reading", "reading"),
    ("reading now", "reading"),
)
"""What a heading over papers says of whether they have been read."""

_NOTES = re.compile(
    r"(?:the\s+)?(?:problems?|proposals?|purpose|background|introduction|observations?(?:\s+\d+)?|methods?|approach|results?"
    r"|findings?|limitations?|contributions?|abstract|summary|takeaways?|conclusions?|motivation|key ideas?|notes?)\s*:",
    re.IGNORECASE,
)
_NO_DEFINITION = re.compile(
    r"(?:see|check|ask|read|watch|here|this|that|these|now|also|look|need|todo|see also|more|i|we|my)\b", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?P<sentence>.{12,300}?[.!?][\"”’)]*)(?=\s|$)", re.DOTALL)
_ABBREVIATION = re.compile(r"\s*\((?P<short>[A-Za-z][A-Za-z0-9/&.+-]{0,11})\)\s*$")
_NUMBER = re.compile(r"^\s*(?:\d+[.)]|[ivxIVX]+\.)\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def kinds_named(heading: str, within: str | None = None) -> tuple[str, ...]:
    """Return the kinds whose collections a heading names, in the order of its words.

    A heading `within` a collection names another one only where it begins or ends with the name: papers about people
    are papers still.
    """
    words = [word.lower().replace("’", "'") for word in _WORD.findall(heading)]
    text = f" {' '.join(words)} "
    if len(words) > _LONGEST_NAME:
        return ()
    found: dict[str, int] = {}
    for kind, names in CONTAINERS.items():
        for name in names:
            place = text.find(f" {name} ")
            at_edge = text.startswith(f" {name} ") or text.endswith(f" {name} ")
            if place >= 0 and (at_edge or within is None):
                found[kind] = min(place, found.get(kind, place))
    if _LOG.fullmatch(text.strip()):
        found.setdefault("log", 0)
    return tuple(sorted(found, key=found.__getitem__))


def status_named(heading: str) -> str | None:
    """Return the reading status that a heading gives its papers."""
    return next((status for words, status in STATUSES if words in heading.lower()), None)


def begins_as_note(text: str) -> bool:
    """Return whether a paragraph begins as notes on a paper do: `Problem:`, `Observation 2:`."""
    return _NOTES.match(text.lstrip()) is not None


def is_increasing(text: str) -> bool:
    """Return whether the words over a list of terms say that the most high-level stands last."""
    return re.search(r"\b(?:increasing|ascending)\b|\blow(?:est)? to high", text, re.IGNORECASE) is not None


def definition_in(text: str) -> str | None:
    """Return the first sentence of what is said of a term, where it reads as a definition."""
    match = _SENTENCE.match(" ".join(text.split()))
    sentence = match["sentence"] if match else ""
    if not sentence or sentence.endswith("?") or len(sentence.split()) < 4 or _NO_DEFINITION.match(sentence):
        return None
    return sentence[0].upper() + sentence[1:]


def parted_name(title: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a term and its short form, from `Variational auto-encoder (VAE)`."""
    match = _ABBREVIATION.search(title)
    if match is None or not any(letter.isupper() for letter in match["short"]) or not title[: match.start()].strip():
        return title, ()
    return title[: match.start()].strip(), (match["short"],)


def tidy(title: str) -> str:
    """Return a title without the number before it and the colon behind it."""
    return _NUMBER.sub("", " ".join(title.split())).rstrip(":–—- ").strip()
