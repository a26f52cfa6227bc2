"""Writes docs/report.png from a demo's report: `report_picture.py REPORT.html`. Needs Debian's chromium."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "report.png"
WIDTH, HEIGHT, MARGIN = 1080, 900, 20


def main(report: Path) -> None:
    """Photograph effect beside fluency and the controls, as the report draws them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        kinds = ("sweep-map", "frontier", "control-distribution")
        figures = [page.locator(f"figure.{kind}").first.bounding_box() for kind in kinds]
        top, bottom = figures[0]["y"] - MARGIN, figures[-1]["y"] + figures[-1]["height"] + MARGIN
        left, width = figures[0]["x"] - MARGIN, figures[0]["width"] + 2 * MARGIN
        clip = {"x": left, "y": top, "width": width, "height": bottom - top}
        page.screenshot(path=str(PICTURE), full_page=True, clip=clip)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
