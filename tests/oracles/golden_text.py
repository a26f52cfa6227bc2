"""How a golden file is written: JSON with each list of plain values on one line."""

import json
import re
from typing import Any


def compact(found: dict[str, Any]) -> str:
    """Return the text of a golden file."""
    text = re.sub(r"\[[^\[\]{}]*\]", lambda flat: " ".join(flat[0].split()), json.dumps(found, indent=1))
    return text + "\n"
