"""No text runs a program: every injection is rendered, parsed again, and held to what a page may hold."""

import re

import pytest
from markupsafe import Markup

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Piece, render
from glassbook.notebook.markdown.sanitizing import Vault
from notebook.injections import BODIES, DRAWINGS, RAW, WORDS, is_balanced, threats
from notebook.markdown.known import Known, page


def test_there_are_more_than_a_hundred_and_most_of_them_would_act_if_nothing_held_them() -> None:
    assert len(BODIES) >= 100
    acting = [name for name, text in (RAW | DRAWINGS).items() if threats(text)]
    assert len(acting) >= 75
    assert not threats('<p id="x">words <a href="https://x.example">link</a> <img src="a.png" alt=""></p>')


@pytest.mark.parametrize("name", BODIES)
def test_nothing_in_an_entry_acts(name: str) -> None:
    try:
        shown = page(BODIES[name], lenient=True).html
    except NotebookError:
        # A fault is told and no page is written; only formulas, unknown pieces and what never ends may be faults.
        assert name.startswith(("ours: formula", "ours: unknown", "raw: script over lines")), name
        return
    assert threats(shown) == [], shown
    assert is_balanced(shown), shown


@pytest.mark.parametrize("words", WORDS)
def test_nothing_acts_wherever_words_stand(words: str) -> None:
    texts = (
        f"{words}\n\n## {words}\n\n> [!note] {words}\n\n- [ ] {words}\n\n[[x|{words}]] [@x, {words}] {{{{claim {words}}}}}",
        f'[{words}](https://x.example "{words}") ![{words}](a.png "{words}") [{words}](run:a/b#{words})',
        f'<span id="{words}" title="{words}">{words}</span> <a name="{words}">x</a>\n\n```{words}\n{words}\n```',
        f"x[^1]\n\n[^1]: {words}\n\n| {words} |\n|---|\n| {words} |\n\n{words}\n: {words}",
    )
    for text in texts:
        try:
            shown = page(text, lenient=True).html
        except NotebookError as fault:
            assert "formula" in str(fault) or "never closed" in str(fault)
            continue
        assert threats(shown) == [] and is_balanced(shown), shown


def test_what_a_bibliography_writes_is_words() -> None:
    shown = page("[@x]", lenient=True).html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and threats(shown) == []


def test_a_trusted_piece_enters_and_the_same_text_written_by_hand_does_not() -> None:
    class Trusting(Known):
        def live(self, what: str, key: str) -> Piece:
            return Piece(Markup('<output onclick="ours()">0.5</output>'), "0.5")

    assert '<output onclick="ours()">0.5</output>' in render("{{claim x}}", Trusting()).html
    assert "onclick" not in render('<output onclick="ours()">0.5</output>', Trusting()).html


def test_a_mark_cannot_be_forged_even_by_one_who_knows_an_earlier_one() -> None:
    earlier = Vault()
    mark = earlier.keep(Markup("<b>trusted</b>"))
    assert earlier.sanitize(mark) == "<b>trusted</b>"
    assert "trusted" not in Vault().sanitize(mark)
    later = Vault()
    later.keep(Markup("<b>trusted</b>"))
    assert "trusted" not in later.sanitize(mark)
    assert "data-piece" not in page(f"{mark} `{mark}` {{{{claim x}}}}").html.replace("&lt;span data-piece", "")


@pytest.mark.parametrize(
    "around",
    [
        '<p title="{}">x</p>',
        "<p title='{}'>x</p>",
        "<p title={}>x</p>",
        "<!-- {} -->",
        "<textarea>{}</textarea>",
        "<p {}>x</p>",
    ],
)
def test_a_mark_that_is_no_element_of_its_own_is_not_replaced(around: str) -> None:
    vault = Vault()
    mark = vault.keep(Markup('<b title="trusted" id=1>trusted</b>'))
    shown = vault.sanitize(around.format(mark))
    assert threats(re.sub(r"data-piece", "x", shown)) == []
    assert 'title="trusted"' not in shown or re.search(r">\s*<b title", shown)


def test_pieces_hold_no_pieces() -> None:
    vault = Vault()
    first = vault.keep(Markup("<b>first</b>"))
    second = vault.keep(Markup(f"<i>{first}</i>"))
    assert vault.sanitize(second) == f"<i>{first}</i>"
