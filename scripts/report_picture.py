"""Writes a picture of a report's figures: `report_picture.py REPORT.html [PICTURE KIND ...]`. Needs Debian's chromium.

Without a picture it writes docs/report.png from a demo's report; docs/card.png is `glassbook features cards
smollm2-135m/L15.resid_post --feature 2525`, its kind feature-card.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "report.png"
KINDS = ("sweep-map", "frontier", "control-distribution")
WIDTH, HEIGHT, MARGIN = 1080, 900, 20


def main(report: Path, picture: Path = PICTURE, kinds: Sequence[str] = KINDS) -> None:
    """Photograph a report from the first figure of the first kind to that of the last, as the report draws them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        figures = [page.locator(f"figure.{kind}").first.bounding_box() for kind in kinds]
        top, bottom = figures[0]["y"] - MARGIN, figures[-1]["y"] + figures[-1]["height"] + MARGIN
        left, width = figures[0]["x"] - MARGIN, figures[0]["width"] + 2 * MARGIN
        clip = {"x": left, "y": top, "width": width, "height": bottom - top}
        page.screenshot(path=str(picture), full_page=True, clip=clip)
        browser.close()


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]), *([Path(given[0]), given[1:]] if given else []))
