"""Where runs are kept."""

import os
import sys
from pathlib import Path

NOTEBOOK_FILE = "glassbook.toml"


def runs_root(given: str | Path | None = None) -> Path:
    """Return the folder that run folders lie in.

    The first that applies of: the folder given, `GLASSBOOK_RUNS`, `runs/` beside the nearest `glassbook.toml` above the
    working folder, `glassbook/runs` in the platform's data folder.
    """
    if given:
        return Path(given).expanduser()
    if named := os.environ.get("GLASSBOOK_RUNS"):
        return Path(named).expanduser()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NOTEBOOK_FILE).is_file():
            return folder / "runs"
    return _data_folder() / "glassbook" / "runs"


def _data_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if named := os.environ.get("XDG_DATA_HOME"):
        return Path(named)
    return Path.home() / ".local" / "share"
