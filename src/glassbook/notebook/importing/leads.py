"""How an item or a heading begins: the name it gives its subject, the address it leads to, what it says next."""

import re
from dataclasses import dataclass

from markdown_it.token import Token

from glassbook.notebook.importing.outline import Block, Heading, flat
from glassbook.notebook.importing.tags import TAG, attributes, is_id
from glassbook.notebook.importing.words import tidy

LONGEST = 120
_PART = re.compile(r":(?=\s|$)|\s[-–—](?=\s|$)")
_CLOSERS = {"link_open": "link_close", "strong_open": "strong_close", "em_open": "em_close"}
_MERE = ("span", "a", "h1", "h2", "h3", "h4", "h5", "h6")
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf|html)/(?P<id>\d{4}\.\d{4,5}|[a-z-]+/\d{7})", re.IGNORECASE)
_DOI = re.compile(r"doi(?:\.org)?(?:/abs|/pdf|/full)?/(?P<id>10\.\d{4,9}/[^\s?#]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lead:
    """The beginning of an item: its name, the address of that name, and the rest of the first paragraph."""

    name: str
    url: str | None
    rest: str
    is_parted: bool

    @property
    def identifiers(self) -> dict[str, str]:
        """Return the address as the fields of a paper."""
        if self.url is None or not self.url.startswith(("http://", "https://")):
            return {}
        found = {"url": self.url}
        if match := _ARXIV.search(self.url):
            found["arxiv"] = match["id"]
        if match := _DOI.search(self.url):
            found["doi"] = match["id"]
        return found


def lead(block: Block) -> Lead | None:
    """Return how an item begins; None where it gives its subject no name."""
    first = next((token for token in block.inlines() if (token.children or ()) and token.content.strip()), None)
    if first is None:
        return None
    tokens = list(first.children or ())
    whole = flat(tokens)
    if block.kind == "term":
        return _made(whole, None, block.text.partition("\n\n")[2], True)
    named = _marked(tokens)
    if named is not None and whole.lstrip().startswith(named[0].strip()) and named[0].strip():
        name, url = named
        rest = whole.lstrip()[len(name.strip()) :]
        return _made(name, url, rest, _PART.match(rest) is not None or name.rstrip().endswith(":"))
    part = _PART.search(whole)
    if part and part.start() <= LONGEST:
        return _made(whole[: part.start()], None, whole[part.end() :], True)
    return _made(whole, None, "", False) if len(block.text) <= LONGEST else None


def _made(name: str, url: str | None, rest: str, is_parted: bool) -> Lead | None:
    name = tidy(name)
    if not name or len(name) > LONGEST or not any(letter.isalnum() for letter in name):
        return None
    return Lead(name, url, _PART.sub("", rest, count=1).strip() if _PART.match(rest) else rest.strip(), is_parted)


def _marked(tokens: list[Token]) -> tuple[str, str | None] | None:
    """Return the text of the link, bold or emphasis with which a paragraph begins, and the link's address."""
    for index, token in enumerate(tokens):
        if token.type in _CLOSERS:
            level, closer = token.level, _CLOSERS[token.type]
            end = next(
                at for at in range(index, len(tokens)) if tokens[at].type == closer and tokens[at].level == level
            )
            inside = tokens[index + 1 : end]
            url = str(token.attrs["href"]) if token.type == "link_open" else _first_link(inside)
            return flat(inside), url
        if token.type == "html_inline":
            tag = TAG.fullmatch(token.content)
            url = dict((name, value) for name, value, _ in attributes(tag["attributes"])).get("href") if tag else None
            if url is not None:
                return _until_closed(tokens[index + 1 :]), url
        elif token.content.strip() or token.type not in ("text", "softbreak"):
            return None
    return None


def _until_closed(tokens: list[Token]) -> str:
    end = next((at for at, token in enumerate(tokens) if token.content.lower().startswith("</a")), len(tokens))
    return flat(tokens[:end])


def _first_link(tokens: list[Token]) -> str | None:
    return next((str(token.attrs["href"]) for token in tokens if token.type == "link_open"), None)


def only_link(block: Block) -> str | None:
    """Return the address of an item that is one link and nothing else."""
    texts = [token for token in block.inlines() if token.content.strip()]
    tokens = (
        [token for token in (texts[0].children or ()) if token.content.strip() or token.nesting]
        if len(texts) == 1
        else []
    )
    others = [
        token for token in block.tokens if token.type in ("fence", "code_block", "html_block", "maths_block", "hr")
    ]
    if others or not tokens or tokens[0].type != "link_open" or tokens[-1].type != "link_close":
        return None
    inside = any(token.type == "link_open" for token in tokens[1:])
    return None if inside else str(tokens[0].attrs["href"])


def ids_of(heading: Heading) -> list[str]:
    """Return the ids that a heading carries, whatever else is in it."""
    return _ids(list(TAG.finditer(heading.content))) + ([heading.given_id] if heading.given_id else [])


def plain_ids(heading: Heading) -> list[str] | None:
    """Return the ids that a heading carries; None where it holds markup that a title cannot keep."""
    if heading.is_raw:
        tags = list(TAG.finditer(heading.content))
        return _ids(tags) if all(map(_is_mere_id, tags)) and "<!--" not in heading.content else None
    if any(token.type not in ("text", "softbreak", "text_special", "html_inline") for token in heading.children):
        return None
    found = [TAG.fullmatch(token.content) for token in heading.children if token.type == "html_inline"]
    tags = [tag for tag in found if tag is not None]
    if len(tags) != len(found) or not all(_is_mere_id(tag) for tag in tags):
        return None
    return _ids(tags) + ([heading.given_id] if heading.given_id else [])


def _is_mere_id(tag: re.Match[str]) -> bool:
    names = [name for name, _, _ in attributes(tag["attributes"])]
    return tag["name"].lower() in _MERE and all(is_id(tag["name"], name) for name in names)


def _ids(tags: list[re.Match[str]]) -> list[str]:
    return [
        value
        for tag in tags
        for name, value, _ in attributes(tag["attributes"])
        if value and (name == "id" or is_id(tag["name"], name))
    ]
