"""Laws of rendering that hold for every text."""

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Rendered, render
from notebook.injections import BODIES, WORDS, is_balanced, threats
from notebook.markdown.known import Known, page

# Pieces of markup from which texts are put together that a person might write in a hurry, or on purpose.
_PIECES = (
    [
        "# ",
        "## ",
        "> ",
        "- ",
        "1. ",
        "- [ ] ",
        "* ",
        "**",
        "*",
        "_",
        "~~",
        "`",
        "```",
        "```python\n",
        ": ",
        "---",
        "===",
        "|",
    ],
    [
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\\\[",
        "\\\\]",
        "[",
        "]",
        "[[",
        "]]",
        "[[GPT-2",
        "(",
        ")",
        "](",
        "](x.md)",
        "](run:a/b#c)",
        "![",
    ],
    [
        "](view:a)",
        "[@",
        "[@x]",
        "{{",
        "}}",
        "{{claim ",
        "{{view a}}",
        "{{study b}}",
        "[^1]",
        "[^1]: ",
        "^[",
        "[!note] ",
        "<",
        ">",
    ],
    [
        "</",
        "<b>",
        "</b>",
        "<div>",
        "</div>",
        "<a href=",
        '<span id="a">',
        "</span>",
        "<details>",
        "<!-- ",
        "-->",
        "<script>",
    ],
    [
        "</script>",
        "<h2>",
        "<img src=x>",
        "&",
        "&amp;",
        "&#60;",
        "\\",
        "\t",
        "\n",
        "\n\n",
        "    ",
        "| a | b |\n|---|---|\n",
    ],
    ["word", "Two words. ", "e.g. ", "\u00a0", "\u2028", "é", "漢字", "\x00", "\ufeff"],
)
PIECES = st.sampled_from([piece for row in _PIECES for piece in row])
BETWEEN = st.sampled_from(["", " ", "\n", "\n\n", "\n> "])
TEXTS = st.lists(PIECES | st.sampled_from(WORDS) | st.text(max_size=8), max_size=24).map("".join)
WORDLY = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Co", "Cn")), max_size=60)


def _try(text: str) -> Rendered | None:
    try:
        return page(text, lenient=True)
    except NotebookError as fault:
        assert str(fault).startswith("entries/terms/here.md:")
        return None


@given(TEXTS)
@settings(max_examples=150)
@example("> " * 98 + "x")
@example("- " * 120 + "x")
@example("<b><i></b></i>" * 3 + "<table><tr>x")
def test_every_text_becomes_a_balanced_page_without_threats_or_is_a_fault_with_its_place(text: str) -> None:
    told = _try(text)
    if told is not None:
        assert is_balanced(told.html), told.html
        assert threats(told.html) == [], told.html


@given(
    st.lists(st.sampled_from(sorted(BODIES.values())), min_size=2, max_size=4),
    st.sampled_from(["", " ", "\n", "\n\n", "\n> "]),
)
@settings(max_examples=60)
def test_injections_do_not_help_each_other(texts: list[str], between: str) -> None:
    told = _try(between.join(texts))
    assert told is None or (threats(told.html) == [] and is_balanced(told.html))


@given(st.lists(WORDLY, min_size=1, max_size=4))
@settings(max_examples=100)
def test_text_without_markup_survives(paragraphs: list[str]) -> None:
    written = "\n\n".join("".join(_literally(character) for character in paragraph) for paragraph in paragraphs)
    assert page(written).text.split() == " ".join(paragraphs).split()


def _literally(character: str) -> str:
    """Return how a character is written so that it never is markup."""
    plain = character.isalnum() or (character == " " or unicodedata.category(character)[0] in "LM")
    return character if plain and not character.isdigit() else f"&#{ord(character)};"


@given(TEXTS)
@settings(max_examples=40)
def test_the_same_text_is_always_the_same_page(text: str) -> None:
    assert _try(text) == _try(text)


@given(st.lists(WORDLY.map(lambda text: text.replace("#", "")), min_size=1, max_size=12))
@settings(max_examples=60)
def test_every_heading_has_an_id_of_its_own_and_leads_to_itself(titles: list[str]) -> None:
    told = page("\n\n".join(f"## x {''.join(map(_literally, title))}" for title in titles))
    ids = [heading.id for heading in told.contents]
    assert len(ids) == len(titles) == len(set(ids)) and set(ids) <= told.anchors
    assert all(f'href="#{name}"' in told.html.replace("&amp;", "&") for name in ids)


@given(st.integers(1, 40), st.integers(0, 60))
@settings(max_examples=20)
def test_a_fault_names_the_line_on_which_it_stands(first_line: int, before: int) -> None:
    text = "\n".join(["words"] * before + ["and [[no such entry]] here", "words"])
    with pytest.raises(NotebookError) as told:
        render(text, Known(), path="a.md", first_line=first_line)
    assert told.value.faults[0].line == first_line + before


QUICK = [
    "> ",
    "[",
    "![",
    "*a ",
    "***a* b**",
    "$a ",
    "$$",
    "\\(",
    "{{claim a",
    "[[a|b",
    "`a``",
    "<b>",
    "<!--",
    "^[",
    "[[a]]. B ",
]
_SLOW = (
    [
        "[[",
        "[[a",
        "[@",
        "[@a; ",
        "$",
        "$a$ ",
        "\\\\(",
        "\\[\n",
        "$$ a\n",
        "_a*",
        "**a ",
        "~~",
        "`",
        "<",
        "<a ",
        "<a b='",
        '<a "',
    ],
    [
        "</a>",
        "<span>x",
        "<!-- \n\n",
        "<?",
        "<div>\n\n",
        '<div>\n<a b="<',
        "<script>",
        "<h2>a",
        "<object data=x>",
        "&",
        "[^1]",
    ],
    [
        "<details>\n\n- ",
        "[^1]: x\n\n",
        "[^a",
        "- ",
        "- a\n",
        "- [ ] ",
        "1. ",
        "a\n: b\n\n",
        "|",
        "a|b\n-|-\n",
        "# a\n\n",
    ],
    [
        "[a](",
        "[a](run:",
        "[a]: b\n",
        "](",
        '![a](x "',
        "\\",
        'a."',
        "e.g. ",
        "> [!note] a\n",
        "\t",
        "[a][b]",
        "<x@y.z>",
    ],
    ["[x](#b) ", "a\n", "[[#a]]\n\n# a\n\n"],
)


@pytest.mark.parametrize("unit", QUICK)
def test_four_times_the_text_takes_no_more_than_eight_times_the_time(unit: str) -> None:
    _hold_to_its_length(unit, 500)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [unit for row in _SLOW for unit in row])
def test_no_nesting_takes_more_time_than_its_length(unit: str) -> None:
    _hold_to_its_length(unit, 1200)


def _hold_to_its_length(unit: str, length: int) -> None:
    short, long = (_seconds(unit * (size // len(unit))) for size in (length, 4 * length))
    # Quadratic time would be sixteen times as long.
    assert long < 8 * short + 0.01, f"{long:.3f} s for four times what takes {short:.3f} s"


def _seconds(text: str) -> float:
    took = []
    for _ in range(2):
        start = time.process_time()
        _try(text)
        took.append(time.process_time() - start)
    return min(took)
