"""Code with its words colored by classes, whose colors the site's style gives."""

from functools import cache, lru_cache

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name

_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)


@lru_cache(maxsize=2048)
def highlighted(code: str, language: str) -> Markup:
    """Return `code` as HTML to stand within `<code>`; without colors where the language is not known."""
    lexer = _lexer(language)
    return Markup(highlight(code, lexer, _FORMATTER)) if lexer else escape(code)


@lru_cache(maxsize=256)
def _lexer(language: str) -> Lexer | None:
    if language not in _languages():
        return None
    # Nothing may be added or taken away: the page shows what was written.
    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


@cache
def _languages() -> frozenset[str]:
    """Return the names of all languages that Pygments brings along; what else is installed must not change a page."""
    return frozenset(alias for _, aliases, _, _ in get_all_lexers(plugins=False) for alias in aliases)
