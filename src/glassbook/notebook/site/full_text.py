"""The index of all words of a site, made by Pagefind."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec

from glassbook.core.errors import GlassbookError

FOLDER = "pagefind"
ENTRY = "pagefind-entry.json"
_PATIENCE_S = 600


def is_installed() -> bool:
    """Return whether Pagefind is there."""
    return get_executable is not None


def index_words(site: Path) -> int:
    """Write the index of a site's pages into its folder `pagefind`; return how many pages it holds."""
    assert get_executable is not None
    try:
        command = [str(get_executable()), "--site", str(site), "--output-path", str(site / FOLDER), "--silent"]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE_S)
        return _indexed(site)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError, KeyError, TypeError) as fault:
        said = getattr(fault, "stderr", None) or str(fault).encode()
        raise GlassbookError(
            f"the full text could not be indexed ({said.decode(errors='replace').strip()}); "
            "build with --no-search to go without"
        ) from fault


def _indexed(site: Path) -> int:
    """Return how many pages the index of a site holds, in all its languages."""
    told = msgspec.json.decode((site / FOLDER / ENTRY).read_bytes(), type=dict[str, Any])
    return sum(int(language["page_count"]) for language in told["languages"].values())


try:
    from pagefind_bin import get_executable
except ModuleNotFoundError:
    get_executable = None
