"""The index of all words of a site, made by Pagefind."""

import asyncio
import logging
from pathlib import Path

from glassbook.core.errors import GlassbookError

FOLDER = "pagefind"


def is_installed() -> bool:
    """Return whether Pagefind is there."""
    return PagefindIndex is not None


def index_words(site: Path) -> int:
    """Write the index of a site's pages into its folder `pagefind`; return how many pages it holds."""
    return asyncio.run(_index(site))


async def _index(site: Path) -> int:
    assert PagefindIndex is not None and IndexConfig is not None
    logging.getLogger("pagefind").setLevel(logging.ERROR)
    try:
        async with PagefindIndex(config=IndexConfig(root_selector="html", output_path=str(site / FOLDER))) as index:
            found = await index.add_directory(str(site))
            return int(found["page_count"])
    except (OSError, RuntimeError, ValueError) as fault:
        raise GlassbookError(
            f"the full text could not be indexed ({fault}); build with --no-search to go without"
        ) from fault


try:
    from pagefind.index import IndexConfig, PagefindIndex
except ModuleNotFoundError:
    IndexConfig = PagefindIndex = None  # type: ignore[assignment,misc]
