"""TERMS.md and the code say the same: nothing is missing from either."""

import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import glassbook.views  # noqa: F401 (importing the room registers its views)
from glassbook.cli.app import VERBS
from glassbook.core import errors
from glassbook.core.sites import KINDS
from glassbook.evidence.judging import VERDICTS as CLAIM_VERDICTS
from glassbook.models.generation import StoppedBy
from glassbook.runs.record import STATUSES
from glassbook.stats.pareto import Dominance
from glassbook.steering.check_words import CheckVerdict
from glassbook.steering.operators import OPERATORS, POSITIONS
from glassbook.steering.sweeps.result import VERDICTS
from glassbook.views.page import Verdict
from glassbook.views.view import VIEWS

TERMS = (Path(__file__).resolve().parents[2] / "TERMS.md").read_text()
ERRORS = [name for name, kind in vars(errors).items() if inspect.isclass(kind)]

IN_CODE: dict[str, Iterable[str]] = {
    "Sites": KINDS,
    "Operators": OPERATORS,
    "Positions": POSITIONS,
    "Why a completion stopped": get_args(StoppedBy),
    "Status of a Run": STATUSES,
    "Verdict of a report": get_args(get_type_hints(Verdict)["outcome"]),
    "Verdict of a sweep": VERDICTS,
    "Verdict of a check": get_args(CheckVerdict),
    "Verdict of a claim": CLAIM_VERDICTS,
    "Verdict of two frontiers": get_args(Dominance),
    "Views": VIEWS,
    "Verbs of the command line": VERBS,
    "Errors": ERRORS,
}


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading, cell by cell, without its head."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"TERMS.md has no section '{heading}'"
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(text: str, heading: str) -> list[str]:
    """Return what stands in backticks in the first column of a table."""
    return [row[0].strip("` ") for row in table(text, heading)]


def resolve(path: str) -> object:
    """Return what a dotted path inside the package names; raise AttributeError where it names nothing."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(["glassbook", *parts[:end]]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            fields = getattr(found, "__dataclass_fields__", {})
            found = fields[part] if part in fields else getattr(found, part)
        return found
    raise AttributeError(f"there is no glassbook.{path}")


@pytest.mark.parametrize("heading", IN_CODE)
def test_a_table_lists_exactly_what_the_code_has(heading):
    listed = names(TERMS, heading)
    assert sorted(listed) == sorted(IN_CODE[heading])


@pytest.mark.parametrize("heading", IN_CODE)
def test_control_a_table_that_forgets_or_invents_a_name_differs(heading):
    first = names(TERMS, heading)[0]
    assert sorted(names(TERMS.replace(f"| `{first}` |", "| `invented` |"), heading)) != sorted(IN_CODE[heading])


def test_the_sites_stand_in_the_order_of_the_forward_pass_with_their_axes_and_their_transformer_lens_names():
    listed = [(row[0].strip("`"), tuple(row[1].split()), row[3]) for row in table(TERMS, "Sites")]
    assert listed == [(name, kind.axes, kind.legacy) for name, kind in KINDS.items()]
    per_layer = {row[0].strip("`"): row[2] == "in every block" for row in table(TERMS, "Sites")}
    assert per_layer == {name: kind.per_layer for name, kind in KINDS.items()}


@pytest.mark.parametrize("row", table(TERMS, "Words"), ids=lambda row: row[0])
def test_every_word_stands_for_something_in_the_code(row):
    code = row[2].strip("` ") if len(row) > 2 else ""
    if code:
        assert resolve(code) is not None
    else:
        assert row[0] in {"oracle", "golden file"}, "only words about tests have no place in the package"


@pytest.mark.parametrize("path", ["core.sites.Address", "core.nowhere", "core.taps.Span.place"])
def test_control_a_path_that_names_nothing_is_found_out(path):
    with pytest.raises(AttributeError):
        resolve(path)


def test_every_word_is_explained_once():
    words = [row[0] for row in table(TERMS, "Words")]
    assert len(words) == len(set(words))
    assert all(row[1] for row in table(TERMS, "Words"))
