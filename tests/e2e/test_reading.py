"""A page is read: by keyboard, without a script, from a file, on paper, in the colors one chose."""

import re
from urllib.parse import unquote

import pytest

from browsing import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM

TERM = "terms/everything.html"
FOCUSED = "(() => { const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent.trim(); })()"


def press(page, *keys: str) -> str:
    for key in keys:
        page.keyboard.press(key)
    return page.evaluate(FOCUSED)


def until(page, question: str, patience: int = 3000):
    """Return the answer once it is true; asked from outside, since the page's policy forbids evaluation within it."""
    for _ in range(patience // 25):
        if answer := page.evaluate(question):
            return answer
        page.wait_for_timeout(25)
    return page.evaluate(question)


def test_the_keyboard_goes_from_the_skip_link_through_the_menu_and_the_ring_is_seen(visit):
    with visit(TERM) as seen:
        page = seen.page
        assert press(page, "Tab") == "Skip to the text"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        assert press(page, "Enter") and page.evaluate("document.activeElement.id") == "main"
        page.reload()
        names = [press(page, "Tab") for _ in range(14)]
        assert names[1] == "Notes & <b>Queries</b>"
        menu = page.locator(".menu > ul a").all_text_contents()
        assert names[2 : 2 + len(menu)] == menu and len(menu) >= 6
        assert names[2 + len(menu)].startswith("Search") and names[3 + len(menu)] == "Dark colors"
        ring = "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
        assert page.evaluate(ring) == "solid2px"
        current = page.locator(".menu > ul [aria-current='page']").all_text_contents()
        assert current == ["Terms"]


def test_a_wide_table_a_long_formula_and_a_long_line_of_code_scroll_by_keyboard_within_their_boxes(visit):
    with visit(TERM, width=360, height=740) as seen:
        for box in (".prose > .scroll", ".formula", ".code pre"):
            seen.page.locator(box).first.focus()
            seen.page.keyboard.press("ArrowRight")
            assert until(seen.page, f"document.querySelector('{box}').scrollLeft > 0"), box


def test_colors_are_chosen_kept_from_page_to_page_and_there_before_the_page_is_drawn(visit, address):
    with visit("index.html", color_scheme="light") as seen:
        page, button = seen.page, seen.page.locator(".theme-tool")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(ground)
        assert button.get_attribute("aria-pressed") == "false"
        button.focus()
        page.keyboard.press("Enter")
        dark = page.evaluate(ground)
        assert (button.get_attribute("aria-pressed"), dark == light) == ("true", False)
        # No style and no script but the first is there yet when the body begins: what is set then is never seen to change.
        page.add_init_script(
            """new MutationObserver(() => {
                if (document.body && !window.first) window.first = document.documentElement.dataset.theme;
            }).observe(document, {childList: true, subtree: true})"""
        )
        page.goto(address + TERM)
        assert (page.evaluate("window.first"), page.evaluate(ground)) == ("dark", dark)
        page.locator(".theme-tool").click()
        assert page.evaluate(ground) == light
        # What the system has anyway is not kept: the page follows the system again.
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(ground) == dark
        assert seen.said == []


def test_a_term_a_source_and_a_number_tell_what_they_are_when_focused_or_pointed_at(visit):
    with visit(TERM, width=1000) as seen:
        page, card = seen.page, seen.page.locator("#preview")
        page.locator("main .prose a[data-entry='second-term']").first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert card.is_visible() and "What comes second, in one sentence." in card.text_content()
        assert page.locator("a[aria-describedby='preview']").get_attribute("data-entry") == "second-term"
        page.keyboard.press("Escape")
        assert card.is_hidden()
        page.locator("main a[data-cite='known2020']").first.hover()
        assert until(page, "!document.querySelector('#preview').hidden") and "Known things" in card.text_content()
        page.locator("main a.measured").first.hover()
        assert until(page, "document.querySelector('#preview').textContent.includes('seeds')")
        assert "0.891" in card.text_content()
        box = card.bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2, steps=8)
        page.wait_for_timeout(500)
        assert card.is_visible(), "the pointer may enter"
        page.mouse.move(5, 5)
        assert until(page, "document.querySelector('#preview').hidden")


def test_a_finger_opens_the_link_and_no_preview(visit):
    with visit(TERM, has_touch=True, width=400) as seen:
        seen.page.locator("main .prose a[data-entry='second-term']").first.tap()
        seen.page.wait_for_url("**/second-term.html")


def test_a_measured_number_leads_to_the_run_that_measured_it(visit):
    with visit(TERM) as seen:
        seen.page.locator("main a.measured").first.click()
        seen.page.wait_for_url("**/runs/activation-addition-laptop.html#weddings-on-topic")
        assert seen.page.locator("#weddings-on-topic .claim-says").is_visible()
        words = seen.page.locator("main").text_content()
        assert "glassbook study run activation-addition" in words and "gb.studies.find" in words


def test_a_stale_number_says_so_in_words_and_why(visit):
    with visit(TERM) as seen:
        marked = seen.page.locator("main a.measured", has_text="1.016")
        assert "stale" in marked.text_content()
        marked.focus()
        seen.page.keyboard.press("Shift+Tab")
        seen.page.keyboard.press("Tab")
        assert "Stale: its code has changed" in seen.page.locator("#preview").text_content()
        others = seen.page.locator("main a.measured", has_text="0.806").last
        assert "stale" not in others.text_content()


def test_notes_and_sources_stand_beside_their_line_where_there_is_room_and_never_on_each_other(visit):
    boxes = """[...document.querySelectorAll('.beside-text')].map(note => {
        const box = note.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; })"""
    with visit(TERM, width=1400) as seen:
        notes = seen.page.evaluate(boxes)
        column = seen.page.evaluate("document.querySelector('.text > p').getBoundingClientRect().right")
        wide = seen.page.evaluate(
            """column => [...document.querySelectorAll('.text > *')].map(one => one.getBoundingClientRect())
            .filter(box => box.height && box.right > column + 8).map(box => [box.top, box.bottom])""",
            column,
        )
        assert len(notes) >= 4 and all(left > column for left, *_ in notes)
        assert wide, "something is wider than the column, and stands in the way"
        for place, (_, top, right, bottom) in enumerate(notes):
            assert right <= 1400
            assert all(bottom <= other[1] or other[3] <= top for at, other in enumerate(notes) if at != place)
            assert all(bottom <= start or end <= top for start, end in wide)
        seen.page.set_viewport_size({"width": 1000, "height": 800})
        assert until(seen.page, "document.querySelectorAll('.beside-text').length === 0")
        top = "document.querySelector('{}').getBoundingClientRect().top"
        assert seen.page.evaluate(f"{top.format('.footnotes')} > {top.format('#where-it-ends')}")


def test_everything_is_there_without_a_script(visit):
    with visit(TERM, java_script_enabled=False) as plain:
        for words in (
            "A term with every construct",
            "A long note",
            "Known things",
            "What was measured",
            "Mentioned in",
        ):
            assert plain.page.get_by_text(words).first.is_visible(), words
        assert plain.page.locator(".katex").count() >= 3
        assert plain.page.locator(".theme-tool").is_hidden() and plain.page.locator("dialog.search").is_hidden()
        assert plain.said == []
    for path, words in (
        ("search.html", "Second term"),
        ("papers.html", "On the reading of papers"),
        ("terms.html", "What comes second"),
    ):
        with visit(path, java_script_enabled=False) as plain:
            assert plain.page.locator("main").get_by_text(words).first.is_visible(), path
            assert plain.page.locator(".filters, .search-page").locator("visible=true").count() == 0


@pytest.mark.parametrize("path", ["index.html", TERM, "papers.html", "terms.html"])
def test_a_page_works_from_a_file_under_the_same_policy(visit, site, path):
    with visit(path, root=site.as_uri() + "/") as seen:
        page = seen.page
        assert (seen.said, seen.abroad) == ([], [])
        assert page.evaluate("document.documentElement.classList.contains('js')")
        assert page.evaluate("[...document.fonts].filter(face => face.status === 'loaded').length") >= 2
        assert page.evaluate("getComputedStyle(document.querySelector('.bar-top')).borderBottomStyle") == "solid"
        page.locator(".theme-tool").click()
        assert page.locator(".theme-tool").get_attribute("aria-pressed") == "true"
        hrefs = page.evaluate(
            """[...document.querySelectorAll('main a[href], nav a[href]')]
            .map(link => new URL(link.getAttribute('href'), document.baseURI).href).filter(href => href.startsWith('file:'))"""
        )
        here = site.as_uri() + "/"
        missing = [
            href for href in hrefs if not (site / unquote(re.sub(r"[?#].*", "", href.removeprefix(here)))).exists()
        ]
        assert hrefs and missing == []


def test_on_paper_there_is_no_frame_and_links_away_are_written_out(visit):
    with visit(TERM, width=1400) as seen:
        seen.page.emulate_media(media="print")
        for part in (".bar-top", ".foot", ".contents", ".turn"):
            assert seen.page.locator(part).locator("visible=true").count() == 0, part
        after = "getComputedStyle(document.querySelector('.prose a.abroad'), '::after').content"
        assert "https://example.org/a(b)~c" in seen.page.evaluate(after)
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert until(seen.page, "getComputedStyle(document.querySelector('.footnotes li')).position === 'static'")


def test_a_page_that_is_not_there_is_told_in_any_depth_with_its_style(visit):
    for path in ("nowhere.html", "terms/deeper/still/nowhere.html"):
        with visit(path) as seen:
            assert "nothing here" in seen.page.locator("h1").text_content().lower()
            assert (
                seen.page.evaluate("getComputedStyle(document.querySelector('.bar-top')).borderBottomStyle") == "solid"
            )
            seen.page.locator("main a").first.click()
            seen.page.wait_for_url("**/notes/search.html")


def test_the_reading_list_is_narrowed_and_the_choice_is_in_the_address(visit, address):
    with visit("papers.html") as seen:
        page = seen.page
        whole = page.locator("main [data-words]").locator("visible=true").count()
        page.get_by_role("button", name="reading", exact=True).click()
        assert (
            page.locator("main [data-words]")
            .locator("visible=true")
            .all_text_contents()[0]
            .count("On the reading of papers")
        )
        assert page.evaluate("location.search") == "?status=reading"
        assert "1 of" in page.locator(".filters [role='status']").text_content()
        page.reload()
        assert page.get_by_role("button", name="reading", exact=True).get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Show all").click()
        assert page.locator("main [data-words]").locator("visible=true").count() == whole >= 4
        assert page.evaluate("location.search") == ""
        page.goto(address + "papers.html?status=reading&status=%22%5D%3Cb%3E&topic=nothing")
        assert page.locator("main [data-words]").locator("visible=true").count() == 0
        assert seen.said == []


def test_a_block_of_code_is_copied_without_its_prompt_and_answer(visit):
    with visit(TERM, permissions=["clipboard-read", "clipboard-write"]) as seen:
        block = seen.page.locator(".code", has_text="glassbook build")
        block.locator(".copy").click()
        assert until(seen.page, "document.querySelector('.copy.done')?.textContent") == "Copied"
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == "glassbook build \\\n    --out site\nglassbook serve"
