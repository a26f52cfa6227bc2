"""Every script that makes golden files has an environment to run in, and every golden file has its script."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "scripts" / "oracles" / "run.py").read_text()


def listed(table: str) -> set[str]:
    """Return the names of the scripts in a table of oracles."""
    return set(re.findall(r'^    "(\w+)": Oracle\(', table, re.MULTILINE))


def scripts() -> set[str]:
    """Return the names of the scripts there are."""
    return {path.stem.removeprefix("make_") for path in (ROOT / "tests" / "oracles").glob("make_*.py")}


def test_every_oracle_script_is_in_the_table_and_the_other_way_round():
    assert listed(TABLE) == scripts()


def test_control_a_table_that_forgets_a_script_differs():
    shorter = TABLE.replace('"sentencepiece_golden": Oracle', "", 1)
    assert listed(shorter) < scripts()


@pytest.mark.parametrize("golden", sorted(path.name for path in (ROOT / "tests" / "golden").glob("*.json")))
def test_every_golden_file_is_written_by_a_script(golden):
    written = "".join(path.read_text() for path in (ROOT / "tests" / "oracles").glob("make_*.py"))
    stem = golden.removesuffix(".json")
    # One script may write a file for each architecture, whose own name may have several words: sites_{architecture}.json
    assert golden in written or f"{stem.partition('_')[0]}_{{" in written


@pytest.mark.parametrize("environment", sorted(set(re.findall(r'Oracle\("(\w+)"', TABLE))))
def test_every_package_of_an_oracle_environment_is_pinned(environment):
    lines = (ROOT / "scripts" / "oracles" / f"{environment}.txt").read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in packages)
