"""Raw HTML in a text: read tag by tag, held to what is allowed, and closed where its author forgot to."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from markdown_it.rules_block.html_block import HTML_SEQUENCES
from markdown_it.token import Token

VOID = frozenset({"br", "hr", "img", "wbr"})
# What shows a file from elsewhere becomes a link to it; the attribute holds its address.
EMBEDDED = {"object": "data", "iframe": "src", "embed": "src", "video": "src", "audio": "src"}
SECTIONING = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NAMES = (
    "a abbr b blockquote br caption cite code dd del details dfn div dl dt em figcaption figure hr i img ins kbd li mark ol p "
    "pre q s samp section small span strong sub summary sup table tbody td tfoot th thead tr u ul var wbr"
)
ALLOWED = frozenset(_NAMES.split()) | SECTIONING

_NO_TEXT = ("script", "style")
# No longer tag is read, so that hostile text cannot make this slow.
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<![^>]*>"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9-]{0,30}+)(?P<attributes>(?>[^\"'<>]{1,1000}+|\"[^\"]{0,2000}+\"|'[^']{0,2000}+'){0,200}+)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"(?P<name>[^\s\"'<>/=]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'=<>`]+)))?"
)


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag; a `closing` one has no attributes."""

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    closing: bool = False

    def get(self, name: str) -> str:
        """Return the value of an attribute, empty where there is none."""
        return next((value for key, value in self.attributes if key == name), "")


Event = Tag | str


def read_events(source: str) -> list[Event]:
    """Return the allowed tags of `source` and the text between them, in order; scripts, styles and comments are left out."""
    events: list[Event] = []
    position = 0
    skipping = ""
    for match in _TAG.finditer(source):
        name = (match["name"] or "").lower()
        if not skipping:
            events.append(source[position : match.start()])
        position = match.end()
        if skipping and not (match["end"] and name == skipping):
            continue
        skipping = name if name in _NO_TEXT and not match["end"] else ""
        events.extend(_tags(match, name))
    if not skipping:
        events.append(source[position:])
    return [event for event in events if event != ""]


def _tags(match: re.Match[str], name: str) -> Iterator[Tag]:
    """Yield the tag that `match` holds if it is allowed; one that closes itself as two."""
    if name not in ALLOWED and name not in EMBEDDED:
        return
    if match["end"]:
        if name not in VOID:
            yield Tag(name, closing=True)
        return
    attributes = {
        part["name"].lower(): unescape(part["double"] or part["single"] or part["bare"] or "")
        for part in reversed(list(_ATTRIBUTE.finditer(match["attributes"])))
    }
    yield Tag(name, tuple(attributes.items()))
    if name not in VOID and match["attributes"].rstrip().endswith("/"):
        yield Tag(name, closing=True)


def balance(groups: Sequence[list[Event]]) -> None:
    """Close every tag of `groups`, the pieces of HTML that stand side by side, at the end of its own piece at the latest,
    unless a later piece closes it; drop end tags that nothing opened."""
    stack: list[tuple[str, int]] = []
    names: Counter[str] = Counter()

    def close_above(name: str, number: int, now: list[Event]) -> None:
        while stack and stack[-1][0] != name:
            above, opened = stack.pop()
            names[above] -= 1
            (now if opened == number else groups[opened]).append(Tag(above, closing=True))

    for number, events in enumerate(groups):
        balanced: list[Event] = []
        for event in events:
            if isinstance(event, str) or event.name in VOID:
                balanced.append(event)
            elif not event.closing:
                stack.append((event.name, number))
                names[event.name] += 1
                balanced.append(event)
            elif names[event.name]:
                close_above(event.name, number, balanced)
                stack.pop()
                names[event.name] -= 1
                balanced.append(event)
        groups[number][:] = balanced
    while stack:
        name, opened = stack.pop()
        groups[opened].append(Tag(name, closing=True))


def balance_blocks(tokens: Sequence[Token]) -> None:
    """Read every block of HTML into `meta["events"]`, balanced with those that stand beside it in the same quote or list."""
    levels: list[list[list[Event]]] = [[]]
    for token in tokens:
        if token.nesting == 1:
            levels.append([])
        elif token.nesting == -1:
            balance(levels.pop())
        elif token.type == "html_block":
            token.meta["events"] = read_events(token.content)
            levels[-1].append(token.meta["events"])
    balance(levels.pop())


def balance_inline(children: Sequence[Token]) -> list[Token]:
    """Return the tokens of a paragraph with its HTML read into `meta["events"]`; what is left open closes at its end."""
    kept = _without_scripts(children)
    marked = [token for token in kept if token.type == "html_inline"]
    # One list for all, since they are parts of one paragraph; an empty text parts the tokens, as none is empty otherwise.
    events: list[Event] = []
    for token in marked:
        events += [*read_events(token.content), ""]
    balance([events])
    closing = Token("html_inline", "", 0)
    parts = iter([*marked, closing])
    token = next(parts)
    token.meta["events"] = []
    for event in events:
        if event == "":
            token = next(parts)
            token.meta["events"] = []
        else:
            token.meta["events"].append(event)
    return [*kept, closing] if closing.meta["events"] else kept


def never_closed(block: str) -> str:
    """Return what opens in a block of HTML and takes all text after it for its own, since nothing closes it; else nothing."""
    for opening, closing, _ in HTML_SEQUENCES[:5]:
        match = opening.match(block)
        if match and not closing.search(block, match.end()):
            return match[0]
    return "<!--" if block.rfind("<!--") > block.rfind("-->") else ""


def _without_scripts(children: Sequence[Token]) -> list[Token]:
    """Return `children` without what stands between the tags of a script or a style."""
    ends: dict[str, list[int]] = {name: [] for name in ("", *_NO_TEXT)}
    for number, token in enumerate(children):
        if token.type == "html_inline":
            ends[_script_tag(token, "/")].append(number)
    kept: list[Token] = []
    resume = 0
    for number, token in enumerate(children):
        name = _script_tag(token, "") if token.type == "html_inline" and number >= resume else ""
        after = bisect_right(ends[name], number) if name else 0
        if name and after < len(ends[name]):
            resume = ends[name][after] + 1
        elif number >= resume:
            kept.append(token)
    return kept


def _script_tag(token: Token, end: str) -> str:
    """Return the name of the script or style that the tag opens, or closes where `end` is a slash; else nothing."""
    match = _TAG.match(token.content)
    name = (match["name"] or "").lower() if match else ""
    return name if match and match["end"] == end and name in _NO_TEXT else ""
