"""The last gate before the page: what is not on these lists does not pass, and trusted pieces enter only here."""

import re
import secrets
from functools import partial

import nh3
from markupsafe import Markup

_TAGS = (
    "a abbr b blockquote br caption cite code dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img input "
    "ins kbd li mark ol p pre q s samp section small span strong sub summary sup table tbody td tfoot th thead tr u ul var"
)
TAGS = frozenset(_TAGS.split())
_EVERYWHERE = {
    "id",
    "class",
    "title",
    "lang",
    "dir",
    "role",
    "tabindex",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
}
_ATTRIBUTES = {
    "*": _EVERYWHERE,
    "a": {"href", "data-entry", "data-cite"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height", "loading", "decoding"},
    "input": {"type", "checked", "disabled"},
    "ol": {"start"},
    "span": {"data-piece"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|[/\\]{2}", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20]+")


def _only_own_pictures(tag: str, attribute: str, value: str) -> str | None:
    """Return the value of an attribute, or None for the address of a picture that lies elsewhere."""
    if tag == "img" and attribute == "src" and _ELSEWHERE.match(_INVISIBLE.sub("", value)):
        return None
    return value


_cleaner = partial(
    nh3.Cleaner,
    tags=set(TAGS),
    attributes=_ATTRIBUTES,
    url_schemes={"http", "https", "mailto"},
    link_rel=None,
    strip_comments=True,
)
_CLEANER = _cleaner()
# Asking Python about every attribute costs more than all the rest, and only pictures need it.
_CLEANER_OF_PICTURES = _cleaner(attribute_filter=_only_own_pictures)


class Vault:
    """Trusted pieces of HTML that wait outside while the text is sanitized.

    Each leaves a mark behind that nobody who writes a text can forge, since it holds a number drawn for this page alone.
    The mark is an element: written into an attribute or a comment it is no longer one, and is not replaced.
    """

    def __init__(self) -> None:
        self._number = secrets.token_hex(16)
        self._pieces: list[Markup] = []
        self._mark = re.compile(rf'<span data-piece="{self._number}-(\d+)"></span>')

    def keep(self, piece: Markup) -> str:
        """Return the mark that stands for `piece` until the page is sanitized."""
        self._pieces.append(piece)
        return f'<span data-piece="{self._number}-{len(self._pieces) - 1}"></span>'

    def sanitize(self, html: str) -> str:
        """Return `html` with only what is allowed on a page, and the pieces in their places."""
        cleaner = _CLEANER_OF_PICTURES if "<img" in html.lower() else _CLEANER
        clean = cleaner.clean(html).replace("<p></p>", "")
        return self._mark.sub(lambda match: self._pieces[int(match[1])], clean)
