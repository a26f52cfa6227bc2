"""Periods as people write them, and words that are none."""

from datetime import date

import pytest

from glassbook.notebook.importing.periods import find_period, whole_period


@pytest.mark.parametrize(
    ("text", "start", "end", "quarter"),
    [
        ("Nov 2023", date(2023, 11, 1), date(2023, 11, 30), "2023-Q4"),
        ("November 2023 - February 2024", date(2023, 11, 1), date(2024, 2, 29), "2024-Q1"),
        ("nov-2023-feb-2024", date(2023, 11, 1), date(2024, 2, 29), "2024-Q1"),
        ("Feb-March 2024", date(2024, 2, 1), date(2024, 3, 31), "2024-Q1"),
        ("Q4 2026", date(2026, 10, 1), date(2026, 12, 31), "2026-Q4"),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31), "2026-Q4"),
        ("Summer 2023", date(2023, 6, 1), date(2023, 8, 31), "2023-Q3"),
        ("12 March 2024", date(2024, 3, 12), date(2024, 3, 12), "2024-Q1"),
        ("March 12th, 2024", date(2024, 3, 12), date(2024, 3, 12), "2024-Q1"),
        ("2024-03-12", date(2024, 3, 12), date(2024, 3, 12), "2024-Q1"),
        ("July 2023 – present", date(2023, 7, 1), date(2023, 7, 31), "2023-Q3"),
        ("2023", date(2023, 1, 1), date(2023, 12, 31), "2023-Q4"),
    ],
)
def test_a_period_has_a_first_and_a_last_day_and_a_quarter(text, start, end, quarter):
    found = whole_period(text)
    assert found is not None
    assert (found.start, found.end, found.quarter) == (start, end, quarter)


@pytest.mark.parametrize(
    "text", ["Steering GPT-2 (2019)", "May we?", "1 and 2", "Chapter 3", "marching", "2024-13-45", ""]
)
def test_control_words_that_name_no_period_have_none(text):
    assert find_period(text) is None
    assert whole_period(text) is None


def test_a_period_within_other_words_is_found_but_is_not_the_whole():
    found = find_period("A camp (Jan 2024 to March 2024), remote")
    assert found is not None
    assert (found.words, found.start, found.end) == ("Jan 2024 to March 2024", date(2024, 1, 1), date(2024, 3, 31))
    assert whole_period("A camp (Jan 2024 to March 2024), remote") is None


def test_only_what_lies_in_one_quarter_fits_one():
    inside, across = whole_period("Nov 2023"), whole_period("Summer 2023")
    assert inside is not None and inside.fits_a_quarter
    assert across is not None and not across.fits_a_quarter
