"""What the README counts of the pilots' verdicts is what their kept results hold."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from glassbook.evidence import VERDICTS

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "entries" / "studies"
COLUMNS = ("replicated", "direction only", "not replicated", "inconclusive", "not testable")


def counted(text: str) -> dict[str, list[int]]:
    """Return the numbers of each study's row."""
    rows = re.findall(r"^\| \[([a-z0-9-]+)\]\(entries/studies/[^)]+\)[^|]*\|([ \d|]+)\|$", text, re.MULTILINE)
    return {name: [int(cell) for cell in cells.split("|")] for name, cells in rows}


def held(name: str) -> list[int]:
    """Return how many claims were judged, and how many earned each verdict."""
    judged = json.loads((KEPT / name / "laptop" / "judgements.json").read_text())
    found = Counter(one["verdict"] for one in judged.values())
    return [len(judged), *(found[verdict] for verdict in COLUMNS)]


def test_every_kept_study_stands_in_the_readme_with_its_verdicts():
    assert set(COLUMNS) == set(VERDICTS)
    names = sorted(path.parent.name for path in KEPT.glob("*/laptop"))
    assert counted((ROOT / "README.md").read_text()) == {name: held(name) for name in names}


@pytest.mark.parametrize("by", [1, -1])
def test_control_a_count_that_is_one_off_differs(by):
    text = (ROOT / "README.md").read_text()
    changed = text.replace("| 16 | 14 |", f"| 16 | {14 + by} |")
    assert counted(changed) != counted(text)
