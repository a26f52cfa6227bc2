"""Numbers on pages: each is a link to the results that it stands in, and can be held against them."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from glassbook.core.errors import EvidenceError, GlassbookError
from glassbook.runs.reading import METRICS_FILE, RUN_FILE, read_metrics
from glassbook.studies.keeping import kept_judgements
from glassbook.studies.results import Results, from_kept
from glassbook.views.numbers import spell

_LINK = re.compile(r"\[([^\[\]]+)\]\(run:([^()#\s]+)#([^()\s]+)\)")
_ANY_LINK = re.compile(r"\(run:[^)]*\)")
_CODE = re.compile(
    r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[`~]*[ ]*$|(?<!`)(`+)(?!`)[^`].*?(?<!`)\2(?!`)", re.MULTILINE | re.DOTALL
)
_POWER = re.compile(r"(.*?)\s*×\s*10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", "\u202f ,%")
_INTERVALS = ("baseline", "control", "precondition")


@dataclass(frozen=True, slots=True)
class Stated:
    """A number, or a verdict, that a page states: its text, the results it is said to stand in, and where in them.

    `place` is `STUDY/SIZE`, or the name of a run that was pinned.
    """

    text: str
    place: str
    field: str
    line: int


def link(value: float | str, place: str, field: str) -> str:
    """Return a value as Markdown that leads to where it stands: `[0.91](run:activation-addition/laptop#topic.estimate)`."""
    return f"[{value if isinstance(value, str) else spell(value)}](run:{place}#{field})"


def stated(text: str) -> Iterator[Stated]:
    """Yield every number that a page of Markdown states with a link to its run; raise EvidenceError for a broken link."""
    for number, line in enumerate(_without_code(text).splitlines(), start=1):
        found = list(_LINK.finditer(line))
        if len(found) != len(_ANY_LINK.findall(line)):
            raise EvidenceError(
                f"line {number}: a link to a run cannot be read; write [number](run:STUDY/SIZE#CLAIM.estimate)"
            )
        yield from (Stated(match[1], match[2], unquote(match[3]), number) for match in found)


def _without_code(text: str) -> str:
    """Return a page whose code, where a number only shows how one is written, is left blank, line for line."""
    return _CODE.sub(lambda code: "\n" * code[0].count("\n"), text)


class Kept:
    """What a notebook keeps of its studies and of the runs that were pinned, read when it is first asked for."""

    def __init__(self, notebook: Path) -> None:
        self.folder = notebook / "entries" / "studies"
        self.runs = notebook / "entries" / "runs"
        self._results: dict[str, Results] = {}
        self._judgements: dict[str, dict[str, dict[str, Any]]] = {}

    def results(self, place: str) -> Results:
        """Return the results kept at `STUDY/SIZE`; raise RunError where there are none."""
        if place not in self._results:
            self._results[place] = from_kept(self.folder / place)
        return self._results[place]

    def judgements(self, place: str) -> dict[str, dict[str, Any]]:
        """Return the judgements kept at `STUDY/SIZE`."""
        if place not in self._judgements:
            self._judgements[place] = kept_judgements(self.folder / place)
        return self._judgements[place]

    def value(self, place: str, field: str) -> float | str:
        """Return what stands at `CLAIM.estimate` (or low, high, verdict, baseline, ...) or `ARM:COLUMN`, its mean over seeds.

        Of a run that was pinned, whose name has no `/`, return its last number called `METRIC`, or that of `METRIC@STEP`.
        Raises EvidenceError where nothing stands there.
        """
        if "/" not in place:
            return self._metric(place, field)
        arm, colon, column = field.partition(":")
        if colon:
            return self._mean(place, arm, column)
        claim, _, name = field.partition(".")
        judged = self.judgements(place).get(claim)
        if judged is None:
            raise EvidenceError(f"no claim '{claim}' was judged in {place}")
        found = _of_judgement(judged, name)
        if found is None:
            raise EvidenceError(f"the claim '{claim}' of {place} has no '{name}'")
        return found

    def _metric(self, run: str, field: str) -> float | str:
        if not (self.runs / run / RUN_FILE).is_file():
            raise EvidenceError(f"the notebook keeps no run '{run}'; `glassbook pin {run}` copies it there")
        name, _, step = field.partition("@")
        rows = read_metrics(self.runs / run / METRICS_FILE)
        found = [row["value"] for row in rows if row["name"] == name and step in ("", str(row.get("step")))]
        if not found:
            near = get_close_matches(name, {str(row["name"]) for row in rows}, n=1)
            hint = f"; did you mean '{near[0]}'?" if near and near[0] != name else ""
            raise EvidenceError(f"the run {run} measured no '{field}'{hint}")
        return float(found[-1]) if isinstance(found[-1], int | float) else str(found[-1])

    def _mean(self, place: str, arm: str, column: str) -> float:
        results = self.results(place)
        if (arm, column) not in results.columns:
            raise EvidenceError(f"the results of {place} have no column '{column}' of an arm '{arm}'")
        means = [float(row.mean()) for row in results.values(arm, column)]
        return sum(means) / len(means)


def wrong_numbers(page: Path, kept: Kept) -> list[str]:
    """Return a sentence for each number on a page that its run does not have."""
    faults = []
    try:
        for one in stated(page.read_text(encoding="utf-8")):
            try:
                value = kept.value(one.place, one.field)
            except GlassbookError as fault:
                faults.append(
                    f"line {one.line}: '{one.text}' is said to stand in run:{one.place}#{one.field}, but {fault}"
                )
                continue
            if not says(one.text, value):
                now = value if isinstance(value, str) else spell(value)
                faults.append(f"line {one.line}: it states '{one.text}' and run:{one.place}#{one.field} has {now}")
    except EvidenceError as fault:
        faults.append(str(fault))
    except UnicodeDecodeError:
        faults.append("it is no text in UTF-8, so that its numbers cannot be read; save it as UTF-8")
    return faults


def says(text: str, value: float | str) -> bool:
    """Return whether a text states a value: the same word, or the number rounded to the digits that the text has."""
    if isinstance(value, str):
        return text == value
    if text == spell(value):
        return True
    power = _POWER.fullmatch(text)
    digits = (power[1] if power else text).translate(_PLAIN)
    exponent = int(power[2].translate(_PLAIN)) if power else 0
    try:
        number = float(digits)
    except ValueError:
        return False
    if text.rstrip().endswith("%"):
        exponent -= 2
    decimals = len(digits.partition(".")[2])
    half = 0.5 * 10.0 ** (exponent - decimals)
    return math.isclose(number * 10.0**exponent, value, rel_tol=1e-12, abs_tol=half * (1 + 1e-9))


def _of_judgement(judged: Mapping[str, Any], name: str) -> float | str | None:
    if name in ("estimate", "low", "high"):
        return judged["interval"][name]
    if name in _INTERVALS:
        return judged[name]["estimate"] if judged.get(name) else None
    if name in ("verdict", "n_items"):
        return judged[name]
    kind, _, number = name.partition("-")
    return judged["each_seed"].get(number) if kind == "seed" else None
