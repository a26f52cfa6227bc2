"""Numbers as people read them; tokens whose white space can be seen."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.views.markup import element, join, visible, visible_text
from glassbook.views.numbers import name_not_finite, spell, spell_fixed
from views.html_checks import check, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (12345, "12\u202f345"),
        (0.12345, "0.123"),
        (-2.41, "−2.41"),
        (1234.56, "1234.6"),
        (2.31e11, "2.31 × 10¹¹"),
        (-1.5e-7, "−1.50 × 10⁻⁷"),
        (None, "—"),
        ("NaN", "not a number"),
        (math.inf, "∞"),
        ("-Infinity", "−∞"),
    ],
)
def test_a_number_is_spelled_for_people(value, text):
    assert spell(value) == text


def test_a_unit_follows_a_number_but_not_a_missing_one():
    assert spell(2.5, "nats") == "2.5 nats"
    assert spell(None, "nats") == "—"
    assert spell_fixed(None, 2) == "—"


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_the_spelled_number_is_within_half_a_percent(value):
    text = spell(value).replace("\u202f", "").replace(" × 10", "e")
    read = float(text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")))
    assert read == pytest.approx(value, rel=0.0051)


def test_only_numbers_that_json_cannot_write_become_words():
    assert [name_not_finite(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "Infinity", "-Infinity"]
    assert name_not_finite(1.5) == 1.5


def test_white_space_is_visible_in_a_token():
    assert visible_text(" a\n\t") == "·a⏎⇥"
    assert text_of(str(visible(" a\n"))) == "·a⏎"
    assert visible_text("") == "∅"


def test_characters_that_rearrange_a_line_are_named_and_ordinary_ones_are_not():
    assert visible_text("\u202eabc") == "U+202Eabc"
    assert visible_text("\x00\u200b") == "U+0000U+200B"
    assert visible_text("é日🙂") == "é日🙂"


@given(st.text(), st.text())
def test_an_element_holds_its_text_and_attributes_literally(text, value):
    html = str(element("p", text, title=value))
    checker = check(html)
    assert checker.open == []
    assert not [fault for fault in checker.faults if not fault.startswith(("http", "url", "@"))]
    normal = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
    assert "".join(checker.text).replace("\x00", "\ufffd").replace("\r\n", "\n").replace("\r", "\n") == normal


def test_markup_is_kept_and_text_is_escaped():
    assert join("<b>", element("b", "x")) == "&lt;b&gt;<b>x</b>"
    assert element("line", x1=1 / 3, stroke_width=2.0, class_=None) == '<line x1="0.333" stroke-width="2"></line>'
