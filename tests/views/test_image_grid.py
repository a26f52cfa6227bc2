"""Pictures are drawn pixel for pixel, with words for those who do not see them, and broken ones are named."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.views import ImageGrid, to_digits
from views.html_checks import check, text_of


def grid(images, width=3, height=2, rows=("a", "b"), columns=("x", "y")):
    return ImageGrid(title="t", caption="c", rows=rows, columns=columns, images=images, width=width, height=height)


def painted(html: str, width: int, height: int) -> list[str]:
    """Return every picture read back from its paths, a digit a pixel."""
    found = []
    for svg in re.findall(r"<svg.*?</svg>", html):
        pixels = [["0"] * width for _ in range(height)]
        for path, color in re.findall(r'<path d="([^"]*)" stroke="#(.)', svg):
            for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path):
                pixels[int(y)][int(x) : int(x) + int(length)] = color * int(length)
        found.append("".join("".join(row) for row in pixels))
    return found


@given(st.lists(st.text("0123456789abcdef", min_size=6, max_size=6), min_size=1, max_size=4))
def test_what_is_drawn_is_the_picture_pixel_for_pixel(images):
    assert painted(grid([images]).html(), 3, 2) == images


def test_every_picture_says_in_words_what_it_is_and_where():
    view = grid([["000000", "ffffff"], ["00ff00"]])
    said = re.findall(r'aria-label="([^"]*)" class="image"', view.html())
    assert said == ["picture, a, x", "picture, a, y", "picture, b, x"]
    assert not check(view.html()).faults


@pytest.mark.parametrize("wrong", ["", "00", "zzzzzz", "<b>xxx", "ABCDEF", "0000000"])
def test_a_string_that_is_no_picture_is_said_and_not_drawn(wrong):
    html = grid([[wrong, "0f0f0f"]]).html()
    assert painted(html, 3, 2) == ["0f0f0f"]
    assert "not a picture" in text_of(html) and "1 of the pictures" in text_of(html)


def test_control_good_pictures_are_not_complained_of():
    assert "not a picture" not in text_of(grid([["0f0f0f"]]).html())


def test_of_more_pictures_than_can_be_looked_at_the_first_are_drawn_and_the_count_is_told():
    view = grid([["0f0f0f"] * 50] * 20, rows=(), columns=())
    assert view.html().count("<svg") == 400
    assert "The first 400 of 1000 pictures are drawn" in text_of(view.html())


@given(st.lists(st.floats(-1, 2), min_size=6, max_size=6))
def test_numbers_become_the_nearest_of_sixteen_shades(values):
    digits = to_digits(np.array(values).reshape(2, 3))
    shades = np.array([int(digit, 16) / 15 for digit in digits])
    assert np.abs(shades - np.clip(values, 0, 1)).max() <= 1 / 30 + 1e-12
    assert digits == to_digits(values)
