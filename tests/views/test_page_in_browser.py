"""The sample page in Debian's chromium: no sideways scroll, no console errors, no requests, readable contrast."""

from pathlib import Path

import pytest

from browsing import NEEDS_CHROMIUM, chromium
from views.samples import sample_page

# For each text that is shown: its contrast with the nearest ground behind it, both painted and read back as bytes.
CONTRAST = """() => {
  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
  const bytes = (...colors) => {
    pen.clearRect(0, 0, 1, 1);
    for (const color of colors) { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (bytes(color)[3] === 255) return color;
    }
    return "white";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const element = node.parentElement, box = element.getBoundingClientRect();
    if (!node.data.trim() || !box.width || element.closest("title")) continue;
    const style = getComputedStyle(element), back = ground(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const pair = [light(bytes(back, ink)), light(bytes(back))].sort((a, b) => b - a);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    found.push({text: node.data.trim().slice(0, 40), ratio: (pair[0] + 0.05) / (pair[1] + 0.05), least: large ? 3 : 4.5});
  }
  return found;
}"""

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(sample_page(), encoding="utf-8")
    return path.as_uri()


def show(browser, address: str, width: int, scheme: str):
    """Return the open page with every fold opened, and what it said and asked for while it loaded."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url != address else None)
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    return page, heard


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_says_nothing_asks_for_nothing_and_can_be_read(browser, address, width, scheme):
    page, heard = show(browser, address, width, scheme)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrasts = page.evaluate(CONTRAST)
    assert len(contrasts) > 300
    assert [one for one in contrasts if one["ratio"] < one["least"]] == []
    page.close()


def test_dark_and_light_are_two_schemes(browser, address):
    grounds = []
    for scheme in ("light", "dark"):
        page, _ = show(browser, address, 1200, scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert grounds[0] != grounds[1]


def spoiled(address: str, found: str, instead: str) -> str:
    path = Path(address.removeprefix("file://"))
    other = path.with_name("spoiled.html")
    text = path.read_text(encoding="utf-8")
    assert found in text
    other.write_text(text.replace(found, instead, 1), encoding="utf-8")
    return other.as_uri()


def test_control_a_faint_ink_fails_the_contrast(browser, address):
    page, _ = show(
        browser, spoiled(address, "--muted: light-dark(#5e5b56,", "--muted: light-dark(#a9aab2,"), 1200, "light"
    )
    assert [one for one in page.evaluate(CONTRAST) if one["ratio"] < one["least"]]
    page.close()


def test_control_a_table_outside_its_box_scrolls_the_page_sideways(browser, address):
    page, _ = show(browser, spoiled(address, ".scroll { overflow-x: auto;", ".scroll {"), 360, "light")
    assert page.evaluate("document.documentElement.scrollWidth") > 360
    page.close()


def test_a_label_keeps_its_distance_from_the_card_beneath_and_without_its_rule_it_does_not(browser, address):
    distance = """() => document.querySelector(".feature-body").getBoundingClientRect().top
      - document.querySelector(".finding:has(+ .feature-body)").getBoundingClientRect().bottom"""
    for width in (390, 1200):
        page, _ = show(browser, address, width, "light")
        assert page.evaluate(distance) >= 12
        page.close()
    page, _ = show(browser, spoiled(address, ".finding + .feature-body { margin-top: 1rem; }", ""), 390, "light")
    assert page.evaluate(distance) < 4
    page.close()


def test_control_a_script_or_a_picture_from_outside_is_refused_and_heard(browser, address):
    foreign = "<main><script>alert(1)</script><img src='https://example.invalid/a.png' alt=''>"
    page, heard = show(browser, spoiled(address, "<main>", foreign), 360, "light")
    assert sum("Content Security Policy" in text for text in heard) >= 2
    page.close()


def test_a_wide_table_can_be_scrolled_by_keyboard(browser, address):
    page, _ = show(browser, address, 360, "light")
    box = page.locator(".table .scroll").first
    box.focus()
    page.keyboard.press("ArrowRight")
    # Asked from outside: what waits inside the page evaluates a string, which the page's policy forbids.
    for _ in range(100):
        if page.evaluate("document.querySelector('.table .scroll').scrollLeft") > 0:
            break
        page.wait_for_timeout(50)
    assert page.evaluate("document.querySelector('.table .scroll').scrollLeft") > 0
    page.close()
