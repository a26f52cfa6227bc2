"""Nothing that a person or a file wrote runs on the site: under its policy, and without the policy's help as well."""

from urllib.parse import quote

import pytest

from browsing import NEEDS_CHROMIUM
from e2e.building import build_text
from e2e.sample import SECRET, hostile_texts
from notebook.injections import BODIES, WORDS

pytestmark = NEEDS_CHROMIUM

PLANTED = "<img src=x onerror=alert(1)><script>alert(2)</script>"
# What a page does with its reader: everything is pointed at, focused and opened.
STIR = """() => { for (const one of document.querySelectorAll('main *')) {
    one.dispatchEvent(new PointerEvent('pointerover', {bubbles: true, pointerType: 'mouse'}));
    one.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
    one.focus?.(); if (one.tagName === 'DETAILS') one.open = true;
    if (one.tagName === 'A') one.dispatchEvent(new MouseEvent('mouseenter')); } }"""

ACTING = r"""[...document.querySelectorAll('*')].filter(one => {
    const leads = [...one.attributes].filter(({name}) => /^(xlink:)?href$|^(src|action|formaction|data)$/.test(name));
    return [...one.attributes].some(({name}) => name.startsWith('on'))
        || leads.some(({value}) => !['http:', 'https:', 'mailto:'].includes(new URL(value, document.baseURI).protocol)); })
    .map(one => one.outerHTML)"""


def stir(seen) -> None:
    seen.page.evaluate(STIR)
    seen.page.wait_for_timeout(30)


def lists_and_hostile_pages(site) -> list[str]:
    lists = [path.name for path in site.glob("*.html")]
    below = [str(path.relative_to(site)) for path in site.rglob("*/*.html") if "hostile" in path.name]
    posts = [str(path.relative_to(site)) for path in (site / "posts").glob("*.html")]
    return sorted([*lists, *below[::8], *posts])


def test_no_title_file_name_field_tag_or_source_runs_even_where_no_policy_holds_it(visit, site, address):
    pages = lists_and_hostile_pages(site)
    assert len(pages) > 20
    with visit("index.html", bypass_csp=True) as seen:
        for path in pages:
            seen.page.goto(address + quote(path))
            stir(seen)
            assert seen.page.evaluate(ACTING) == [], path
        assert seen.alerts == [] and seen.abroad == []
        assert [words for words in seen.said if not words.startswith("failed")] == []


def test_a_private_entry_is_nowhere_on_the_site(site):
    texts = [path for path in site.rglob("*") if path.suffix in (".html", ".js", ".xml", ".json")]
    assert len(texts) > 40
    assert not [path.name for path in texts if SECRET in path.read_text(encoding="utf-8")]


def test_control_a_planted_program_is_seen_without_the_policy_and_held_and_heard_with_it(visit, site, address):
    planted = site / "planted.html"
    planted.write_text((site / "404.html").read_text().replace("</h1>", f"</h1>{PLANTED}"))
    try:
        with visit("planted.html", bypass_csp=True) as seen:
            assert sorted(seen.alerts) == ["1", "2"] and len(seen.page.evaluate(ACTING)) == 1
        with visit("planted.html") as seen:
            assert seen.alerts == []
            assert str(seen.said).count("Content Security Policy") >= 2
    finally:
        planted.unlink()


def test_what_is_searched_for_and_what_is_found_are_words(visit):
    with visit("terms/hostile-0.html", bypass_csp=True) as seen:
        page = seen.page
        page.keyboard.press("/")
        for words in [*WORDS[:6], "alert", "part"]:
            page.locator("dialog.search input").fill(words)
            for _ in range(100):
                if page.evaluate("document.querySelector('dialog.search').dataset.answered") == words.strip():
                    break
                page.wait_for_timeout(25)
            inside = "[...document.querySelectorAll('dialog.search .hits *')].map(e => e.localName)"
            allowed = {"h2", "ol", "li", "a", "span", "p", "mark"}
            assert set(page.evaluate(inside)) <= allowed
        assert page.evaluate("document.querySelectorAll('dialog.search .hit').length") > 0
        assert seen.alerts == [] and seen.abroad == []


def test_previews_show_hostile_words_as_words(visit, site):
    with visit("terms.html", bypass_csp=True) as seen:
        seen.page.evaluate(
            """words => { const island = document.createElement('script');
            Object.assign(island, {type: 'application/json', id: 'previews'}); document.body.append(island);
            document.querySelector('main a').dataset.entry = 'x';
            island.textContent = JSON.stringify({entries: {x: {kind: words, title: words, text: words}}, references: {}}); }""",
            PLANTED,
        )
        seen.page.add_script_tag(path=str(site / "assets" / "previews.js"))
        seen.page.locator("main a").first.focus()
        seen.page.keyboard.press("Shift+Tab")
        seen.page.keyboard.press("Tab")
        assert seen.page.locator("#preview").text_content().count(PLANTED) == 3
        assert seen.page.evaluate("document.querySelectorAll('#preview *').length") == 3
        assert seen.alerts == []


@pytest.mark.parametrize("part", range(2))
def test_no_body_of_an_entry_runs_even_where_no_policy_holds_it(visit, site, address, part):
    texts = list(hostile_texts().items())[part::2]
    assert len(texts) > 50
    folder = site / "bodies"
    with visit("404.html", bypass_csp=True) as seen:
        page = build_text("\n\n".join(body for _, body in texts), folder / f"part-{part}.html", site / "404.html")
        seen.page.goto(address + str(page.relative_to(site)))
        stir(seen)
        assert seen.page.evaluate(ACTING) == []
        assert seen.alerts == [] and seen.abroad == []


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_each_body_by_itself(visit, site, address, name):
    if name not in hostile_texts():
        pytest.skip("a build refuses it")
    with visit("404.html", bypass_csp=True) as seen:
        page = build_text(BODIES[name], site / "bodies" / "one.html", site / "404.html")
        seen.page.goto(address + str(page.relative_to(site)))
        stir(seen)
        assert seen.page.evaluate(ACTING) == []
        assert seen.alerts == [] and seen.abroad == []
