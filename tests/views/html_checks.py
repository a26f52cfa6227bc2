"""What any HTML of ours must be, told without a browser."""

import re
from html.parser import HTMLParser

VOID = {"br", "hr", "meta", "col"}
BLOCKS = {"p", "div", "table", "figure", "section", "details", "ul", "dl", "h1", "h2"}
LOADS = ("src", "href", "action", "data", "poster", "srcset", "formaction")


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text: list[str] = []
        self.attributes: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag, attrs):
        if tag in BLOCKS and "p" in self.open:
            self.faults.append(f"<{tag}> inside <p>")
        self.faults += [f"{name} on <{tag}>" for name, _ in attrs if name.startswith("on") or name in LOADS]
        self.faults += [f"<{tag}>" for _ in (1,) if tag in ("script", "img", "iframe", "object", "embed", "link")]
        if tag == "th" and not dict(attrs).get("scope"):
            self.faults.append("<th> without scope")
        self.attributes += [value or "" for _, value in attrs]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:] or 'nothing'}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        self.text.append(data)


def check(html: str) -> _Checker:
    """Return the parsed page: its `faults` (nesting, scripts, loads, heads without scope), its `text`, its headings."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    checker.faults += [f"<{tag}> is never closed" for tag in checker.open]
    checker.faults += re.findall(r"https?://\S+|url\([^)]*\)|@import", html)
    return checker


def text_of(html: str) -> str:
    """Return all that a reader can read, without marks of white space in between."""
    return "".join(check(html).text)
