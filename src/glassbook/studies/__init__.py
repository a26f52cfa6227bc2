"""Studies: papers made runnable, a folder each.

What runs them loads when it is first used, so that listing studies needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Study
from glassbook.studies.finding import names

if TYPE_CHECKING:
    from glassbook.studies.running import StudyHandle, find

_LATER = {"find": "glassbook.studies.running", "StudyHandle": "glassbook.studies.running"}

__all__ = ["STUDIES", "Arm", "Cell", "Items", "Study", "StudyHandle", "find", "names"]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"glassbook.studies has no '{name}'; it has {', '.join(__all__)}")
