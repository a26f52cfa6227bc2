"""Writes docs/notebook-light.png and -dark.png from a built site: `notebook_pictures.py SITE`. Needs Debian's chromium."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
STUDY = "studies/activation-addition.html"
WIDTH, HEIGHT = 1280, 860


def main(site: Path) -> None:
    """Photograph the first page in light colors, and a study with its picture and its numbers in dark ones."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto((site / ("index.html" if scheme == "light" else STUDY)).resolve().as_uri())
            if scheme == "dark":
                scroll_to_picture(page)
            page.screenshot(path=str(DOCS / f"notebook-{scheme}.png"))
        browser.close()


def scroll_to_picture(page: Page) -> None:
    """Bring the first picture of the study below the top of the window, and point at the number beneath it."""
    page.locator("figure.view").first.evaluate("figure => window.scrollTo(0, figure.getBoundingClientRect().top - 24)")
    page.locator(".prose a.measured").first.hover()
    page.wait_for_timeout(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
