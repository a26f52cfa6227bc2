"""The plain words of a text, as search, titles and backlinks need them."""

from collections.abc import Iterable, Sequence

from markdown_it.token import Token


def plain(tokens: Iterable[Token]) -> str:
    """Return what a reader reads in the tokens of one paragraph."""
    return "".join(words(token) for token in tokens)


def words(token: Token) -> str:
    """Return the words of one token; rendering leaves those of links, citations and live pieces in its `meta`."""
    if "words" in token.meta:
        return str(token.meta["words"])
    match token.type:
        case "text" | "code_inline" | "maths" | "live" | "number" | "text_special":
            return token.content
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "image":
            caption = token.meta.get("caption")
            return "\n".join(filter(None, (plain(token.children or ()), caption and plain(caption.children or ()))))
        case "citation":
            return f"[{'; '.join(key for key, _ in token.meta['items'])}]"
        case _:
            return ""


def plain_page(tokens: Sequence[Token]) -> str:
    """Return the words of all blocks, a line each."""
    blocks: list[str] = []
    for token in tokens:
        if token.type == "inline":
            blocks.append(plain(token.children or ()))
        elif token.type in ("fence", "code_block", "maths_block"):
            blocks.append(token.content.rstrip("\n"))
        elif token.type == "html_block":
            blocks.append(str(token.meta.get("words", "")))
    return "\n".join(block for block in blocks if block.strip())
