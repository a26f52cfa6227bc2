"""Long pages of the form that the import is for, made of every construct that such pages hold; no word stands twice."""

import itertools
from collections.abc import Iterator

from hypothesis import strategies as st


class Words:
    """Words that no other place of the page has."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = itertools.count()

    def word(self) -> str:
        return f"w{next(self._numbers):04d}x"


INLINE = (
    "{0} {1}",
    "*{0}* and **{1} {2}**",
    "_{0}_ with `{1}`",
    "“{0}” isn’t {1}… § 3",
    "[{0}](https://example.org/{1})",
    "**bold [{0}](https://example.org/{1}) over it**",
    "[{0}](https://example.org/a_({1}))",
    "[{0}](https://example.org/~{1}/x#:~:text={2},of%20it)",
    "[{0}](/blog/{1})",
    "[{0}](notes/{1}.md)",
    "[{0}](#nowhere-{1})",
    "![{0}](/pictures/{1}.png)",
    "![{0}](https://pictures.example/w_1,c_2/{1}.png)",
    '<a href="https://example.org/{0}">{1}</a>',
    '<span id="{0}"><a href="https://example.org/{1}">{2}</a><span>',
    "<small>{0}</small><br>{1}",
    "<!-- {0} {1} -->",
    "${0}_1 = {1}$ and ~5 more",
    "\\\\( {0}_i \\\\) {1}",
    "\\( {0}^2 \\) {1}",
    "~~{0}~~ {1}",
    "[[{0}]] and [@{1}] and {{{{claim {2}}}}}",
    "^[a note of {0}]",
)

BLOCKS = (
    "> {0}\n> and {1}",
    "```python\n{0} = [{1}](not-a-link)\n```",
    "$$\n{0} = {1}\n$$",
    "\\\\[ {0} + {1} \\\\]",
    "<!-- {0}\n\n## {1} -->",
    '<details id="{0}"><summary>{1}</summary>\n\n### {2}\n\n{3}\n\n</details>',
    '<p align="center">{0} <b>{1}</b></p>',
    '<object data="/{0}.pdf">{1}</object>',
    "<blockquote>{0}</blockquote>",
    '<img src="/pictures/{0}.png" alt="{1}">',
    "| {0} | {1} |\n|---|---|\n| {2} | [{3}](/x/{3}) |",
    "- {0}\n  - {1}\n\n    {2}\n\n    > {3}\n- [ ] {4}",
    "1. {0}\n2. {1}",
    "---",
    '<h2 id="{0}">{1}</h2>',
    "{0}\n: {1}",
    "    {0} indented\n    {1}",
    "[^{0}]: {1} a note that nothing refers to. {2}\n\n    {3}",
)

HEADINGS = (
    "{0} {1}",
    "{0} *{1}* `{2}`",
    '<span id="{0}">{1} {2}</span>',
    '<a name="{0}"></a>{1}',
    "[{0}](https://example.org/{1}) {2}",
    "{0} {{#{1}}}",
    "{0} $x_1$",
    '<span id="nov-2023-feb-2024">{0} & {1}</span>',
    "{0}: {1}? ({2})",
)

COLLECTIONS = (
    "Papers, Notes and Reports",
    "Terms and Concepts",
    "Learning",
    "Notebook",
    "Achievements",
    "People I've Met",
    "Related Projects and Posts",
    "Posts",
    "Projects",
)

ITEMS = (
    "[{0} {1}](https://arxiv.org/abs/2312.09390):\n\n  The Problem: {2}.\n\n  > {3}",
    "[{0}](https://example.org/{1}) - a {2}",
    "{0} {1}: It is a {2} of {3}.",
    "{0} - [{1}](https://example.org/{2}), see {3}.",
    "**{0}**: {1} ({2})",
    "[{0}](/projects#{1})",
    "Jan 2024: {0} {1}",
    "{0}",
    "[ ] {0}: {1}",
    '<span id="{0}"><a href="https://example.org/{1}">{2}</a><span>:\n\n  ![{3}](/pictures/{3}.png)',
    "{0}\nlazy {1}: {2}",
    "{0}: {1}\n  - {2}\n  - {3}\n\n    {4}",
)


@st.composite
def long_pages(draw: st.DrawFn) -> str:
    """Return a page with front matter, headings of all levels, collections and prose; later parts link to earlier ones."""
    words = Words()
    lines = ["---", "title: A page", "meta_description: What it says.", "---", ""]
    lines += [fill(draw(st.sampled_from(INLINE)), words), ""]
    notes: list[str] = []
    names: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        lines += _section(draw, words, notes, names)
    body = "\n".join(lines + notes)
    return body + "\n"


def page_of_everything() -> str:
    """Return one page that holds every construct, and every item in every collection."""
    words = Words()
    lines = ["---", "title: A page", "---", "", "# A page", ""]
    for number, collection in enumerate(COLLECTIONS):
        lines += [f"## {collection}", "", fill(INLINE[number], words), ""]
        lines += [_item("- ", fill(item, words)) for item in ITEMS[number % 2 :: 2] + ITEMS[6:7]]
        lines += ["", f"### {fill(HEADINGS[number], words)}", "", fill("{0} {1}.", words), ""]
    for heading, pattern in zip(HEADINGS * 9, [*INLINE, *BLOCKS], strict=False):
        lines += [f"## {fill(heading, words)}", "", fill(pattern, words), ""]
    return "\n".join(lines) + "\n"


def _section(draw: st.DrawFn, words: Words, notes: list[str], names: list[str]) -> list[str]:
    level = draw(st.integers(1, 6))
    is_collection = draw(st.booleans())
    heading = draw(st.sampled_from(COLLECTIONS)) if is_collection else fill(draw(st.sampled_from(HEADINGS)), words)
    lines = [f"{'#' * level} {heading}", ""]
    for _ in range(draw(st.integers(0, 3))):
        lines += _part(draw, words, notes, names, is_collection)
    return lines


def _part(draw: st.DrawFn, words: Words, notes: list[str], names: list[str], is_collection: bool) -> list[str]:
    match draw(
        st.sampled_from(["items", "items" if is_collection else "text", "text", "block", "note", "anchor", "link"])
    ):
        case "items":
            items = draw(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4))
            mark = draw(st.sampled_from(["- ", "* ", "1. "]))
            gap = draw(st.sampled_from(["", "\n"]))
            return [gap.join(_item(mark, fill(item, words)) for item in items), ""]
        case "text":
            return [
                " ".join(fill(part, words) for part in draw(st.lists(st.sampled_from(INLINE), min_size=1, max_size=4))),
                "",
            ]
        case "note":
            label = words.word()
            notes += ["", f"[^{label}]: {words.word()} [{words.word()}](https://example.org/{words.word()})"]
            return [f"{words.word()}[^{label}]", ""]
        case "anchor":
            name = words.word()
            names.append(name)
            return [f'{words.word()} <span id="{name}">{words.word()}</span>', ""]
        case "link" if names:
            return [f"[{words.word()}](#{draw(st.sampled_from(names))})", ""]
        case _:
            return [fill(draw(st.sampled_from(BLOCKS)), words), ""]


def fill(pattern: str, words: Words) -> str:
    return pattern.format(*(words.word() for _ in range(6)))


def _item(mark: str, text: str) -> str:
    indent = " " * len(mark)
    first, *rest = text.split("\n")
    moved = [line and (indent + line.removeprefix("  ") if line.startswith(("  ", ">")) else line) for line in rest]
    return "\n".join([mark + first, *moved]) + "\n"
