"""A page is one file, tells how it was made, and lets nothing in."""

import sys
import webbrowser
from itertools import pairwise

import pytest
from markupsafe import Markup

from glassbook.views import Making, Section, Verdict, open_in_browser, render_page
from views.html_checks import check, text_of
from views.samples import SAMPLES, sample_page

MAKING = Making({"Command": "glassbook steer --plus '<b>'", "Seed": "0"}, SAMPLES["costs"])


def page(**changes) -> str:
    given = {
        "title": "A title",
        "lead": "A lead.",
        "sections": [Section("One", "First.\n\nSecond.", [SAMPLES["table"]])],
        "run_facts": {"Model": "tiny"},
        "making": MAKING,
    }
    return render_page(**(given | changes))


def without_style(html: str) -> str:
    return html[: html.index("<style>")] + html[html.index("</style>") + 8 :]


def test_a_page_is_well_formed_and_loads_nothing():
    assert check(without_style(sample_page())).faults == []
    style = sample_page().partition("<style>")[2].partition("</style>")[0]
    assert len(style) > 1000
    assert not any(word in style for word in ("http", "url(", "@import", "</"))


def test_its_headings_are_in_order():
    headings = check(without_style(sample_page())).headings
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_its_policy_forbids_everything_but_its_own_style():
    assert "default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:" in page()
    assert '<html lang="en">' in page()


def test_it_tells_how_it_was_made_and_what_it_cost():
    shown = text_of(without_style(page()))
    assert "How was this made" in shown and "glassbook steer --plus '<b>'" in shown and "What each part cost" in shown
    assert "What each part cost" not in text_of(without_style(page(making=Making({}))))


def test_everything_in_it_is_shown_literally():
    evil = "</style></title><script>alert(1)</script>"
    html = page(
        title=evil, lead=evil, run_facts={evil: evil}, sections=[Section(evil, evil)], verdict=Verdict("held", evil)
    )
    assert not check(without_style(html)).faults
    assert text_of(without_style(html)).count(evil) == 8


def test_prose_given_as_markup_is_kept_and_as_text_is_escaped():
    assert "<em>x</em>" in page(sections=[Section("One", Markup("<p><em>x</em></p>"))])
    assert "<em>x</em>" not in page(sections=[Section("One", "<em>x</em>")])
    assert "<p>First.</p><p>Second.</p>" in page()


@pytest.mark.parametrize("outcome", ["held", "not held", "unclear"])
def test_a_verdict_is_told_by_a_word_and_a_sign_and_not_by_color_alone(outcome):
    html = page(verdict=Verdict(outcome, "So it is."))
    assert f"{outcome}</span>" in html and "So it is." in html
    assert "So it is." not in page()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_a_browser_opens_only_where_there_is_a_display(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not open_in_browser(tmp_path / "a.html") and not opened
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert open_in_browser(tmp_path / "a b.html") and opened == [(tmp_path / "a b.html").as_uri()]
