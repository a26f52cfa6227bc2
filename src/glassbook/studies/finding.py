"""Which studies there are and where their files lie; none is imported before it is asked for."""

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path

from glassbook.core.errors import InputError
from glassbook.studies.contract import STUDIES, Study

_HERE = Path(__file__).parent
CLAIMS_FILE, PAPER_FILE, REPORT_FILE = "claims.toml", "paper.bib", "report.md"


def names() -> list[str]:
    """Return the names of all studies: the folders here that hold one, and what others have registered."""
    folders = (path.parent.name.replace("_", "-") for path in _HERE.glob("*/study.py"))
    return sorted({*folders, *STUDIES})


def load(name: str) -> Study:
    """Return the study of this name, its module imported; raise InputError that lists what there is."""
    if name not in STUDIES:
        if name not in names():
            near = get_close_matches(name, names(), n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise InputError(f"no study is named '{name}'; {hint}known: {', '.join(names()) or 'none'}")
        importlib.import_module(f"glassbook.studies.{name.replace('-', '_')}.study")
    return STUDIES.find(name)()


def folder_of(study: Study) -> Path:
    """Return the folder with the study's claims, its paper and the text of its page."""
    file = sys.modules[type(study).__module__].__file__
    assert file is not None
    return Path(file).parent


def folder_named(name: str) -> Path:
    """Return the folder of the study of this name, without importing it where it is one of ours."""
    folder = _HERE / name.replace("-", "_")
    return folder if (folder / "study.py").is_file() else folder_of(load(name))
