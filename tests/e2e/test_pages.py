"""Every kind of page, under its real policy: accessible in both schemes, quiet, at home, narrow enough, small enough."""

import gzip
import re
from importlib.resources import files
from pathlib import Path

import pytest

from browsing import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM

TERM, STUDY = "terms/everything.html", "studies/activation-addition.html"
KINDS = {
    "home": "index.html",
    "term": TERM,
    "study": STUDY,
    "run": "runs/activation-addition-laptop.html",
    "log": "log.html",
    "reading list": "papers.html",
    "glossary": "terms.html",
    "achievements": "achievements.html",
    "posts": "posts.html",
    "tag": "tags/alpha.html",
    "search": "search.html",
    "404": "404.html",
}
# These are made of the same templates as one of the above.
MORE_KINDS = {
    "paper": "papers/paper-2.html",
    "log entry": "log/log-2026-q3.html",
    "studies": "studies.html",
    "projects": "projects.html",
    "meetings": "meetings.html",
    "tags": "tags.html",
}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LARGEST = 150 * 1024

OPEN_FOLDS = "document.querySelectorAll('main details').forEach(one => one.open = true)"
GROUND = "getComputedStyle(document.body).backgroundColor"
WIDTH = "document.documentElement.scrollWidth"
AXE = """async options => (await axe.run(document, options)).violations
    .map(found => [found.id, ...found.nodes.map(node => node.html.slice(0, 200))])"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core; it is a tool of the tests and no part of the site."""
    pytest.importorskip("axe_playwright_python", reason="axe is not installed; it is in the [test] extra")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(page, axe: str, *rules: str) -> list[list[str]]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG}
    return page.evaluate(AXE, {"runOnly": only, "resultTypes": ["violations"]})


@pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE_KINDS)])
def test_a_page_is_accessible_in_both_schemes_quiet_at_home_narrow_and_small(visit, axe, site, address, kind):
    with visit((KINDS | MORE_KINDS)[kind], color_scheme="light") as seen:
        seen.page.evaluate(OPEN_FOLDS)
        assert violations(seen.page, axe) == []
        light = seen.page.evaluate(GROUND)
        seen.page.emulate_media(color_scheme="dark")
        assert seen.page.evaluate(GROUND) != light
        assert violations(seen.page, axe, "color-contrast", "link-in-text-block") == []
        seen.page.set_viewport_size({"width": 360, "height": 740})
        assert seen.page.evaluate(WIDTH) == 360
        assert (seen.said, seen.abroad, seen.alerts) == ([], [], [])
        assert weight(site, seen.fetched, address) <= LARGEST
        assert not [url for url in seen.fetched if "search/" in url or "pagefind" in url or "names.js" in url]


def weight(site: Path, fetched: list[str], root: str) -> int:
    """Return the bytes of what was fetched, without the views' data; text as a server compresses it, type as it is."""
    total = 0
    for url in set(fetched):
        data = (site / re.sub(r"[?#].*", "", url.removeprefix(root))).read_bytes()
        data = re.sub(rb'<figure class="view .*?</figure>', b"", data, flags=re.DOTALL)
        total += len(data) if url.endswith((".woff2", ".png")) else len(gzip.compress(data, 9))
    assert total > 50 * 1024
    return total


def test_control_what_the_sweep_asks_can_fail(visit, axe, site, address):
    with visit(TERM, width=360, height=740) as seen:
        seen.page.evaluate(
            """document.querySelector('.lead').style.color = '#ddd';
            document.querySelector('main img').removeAttribute('alt');
            document.querySelectorAll('.prose > .scroll').forEach(box => box.style.overflow = 'visible');"""
        )
        assert {found[0] for found in violations(seen.page, axe)} >= {"color-contrast", "image-alt"}
        assert seen.page.evaluate(WIDTH) > 360
        inserted = "document.body.insertAdjacentHTML('beforeend', '<img alt=x src=https://example.org/x.png>')"
        seen.page.evaluate(inserted)
        seen.page.wait_for_timeout(100)
        assert "Content Security Policy" in str(seen.said)
    everything = [path.as_uri().replace(site.as_uri() + "/", address) for path in site.rglob("*.woff2")]
    assert weight(site, everything, address) > LARGEST


def test_targets_of_a_finger_are_large_enough(visit):
    with visit("index.html", width=360, height=740, has_touch=True) as seen:
        small = seen.page.evaluate(
            """[...document.querySelectorAll('.tools a, .tools button, summary, .menu details a')]
            .map(one => [one.textContent.trim(), one.getBoundingClientRect()])
            .filter(([, box]) => box.height && (box.height < 24 || box.width < 24)).map(([text]) => text)"""
        )
        assert small == []


def test_nothing_moves_for_those_who_want_stillness(visit):
    moving = """[...document.querySelectorAll('*')].map(one => getComputedStyle(one))
        .filter(style => style.transitionDuration !== '0s' || style.animationName !== 'none').length"""
    with visit(TERM, reduced_motion="reduce") as seen:
        assert seen.page.evaluate(moving) == 0
