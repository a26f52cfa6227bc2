"""Periods as people write them: `Nov 2023 - Feb 2024`, `Summer 2023`, `Q4 2026`, `2024-03-12`, `nov-2023-feb-2024`."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SEASONS = {"spring": (3, 5), "summer": (6, 8), "autumn": (9, 11), "fall": (9, 11), "winter": (12, 12)}
# A winter is named after the year in which it begins; its December is what is certain of it.
_UNIT = (
    r"(?:(?P<iso>(?:19|20)\d\d-\d\d-\d\d)"
    r"|(?P<quarter>q[1-4])"
    r"|(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
    r"|(?P<season>spring|summer|autumn|fall|winter)"
    r"|(?P<year>(?:19|20)\d\d)"
    r"|(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"|(?P<open>present|now|today|ongoing))(?![^\W_])"
)
_UNITS = re.compile(rf"(?<![^\W_]){_UNIT}", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s\-–—/&,.'’()]*(?:(?:to|until|till|through|and|of)\b[\s\-–—/]*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of days, and the words that named it."""

    words: str
    start: date
    end: date

    @property
    def quarter(self) -> str:
        """Return the quarter in which the period ends, as `2026-Q4`."""
        return f"{self.end.year}-Q{(self.end.month + 2) // 3}"

    @property
    def fits_a_quarter(self) -> bool:
        """Return whether the period begins and ends in one quarter."""
        return (self.start.year, (self.start.month + 2) // 3) == (self.end.year, (self.end.month + 2) // 3)


def find_period(text: str) -> Period | None:
    """Return the first period that a text names; a bare number that could be a year is none."""
    for run in _runs(text):
        found = _read(run)
        if found is not None and any(unit.lastgroup not in ("year", "day", "open") for unit in run):
            return Period(text[run[0].start() : run[-1].end()].strip(), *found)
    return None


def whole_period(text: str) -> Period | None:
    """Return the period of a text that names one and says nothing else; here `2023` is a year."""
    text = text.strip().strip("()[]:.*_").strip()
    for run in _runs(text):
        if not text[: run[0].start()].strip() and not text[run[-1].end() :].strip():
            found = _read(run)
            return Period(text, *found) if found else None
    return None


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Yield the stretches of a text in which nothing but parts of dates stand."""
    run: list[re.Match[str]] = []
    for unit in _UNITS.finditer(text):
        if run and not _BETWEEN.fullmatch(text, run[-1].end(), unit.start()):
            yield run
            run = []
        run.append(unit)
    if run:
        yield run


def _read(run: list[re.Match[str]]) -> tuple[date, date] | None:
    """Return the first and the last day of what stands in one stretch; None where no year does."""
    days: list[tuple[date, date]] = []
    waiting: list[tuple[str, str]] = []  # parts whose year comes after them
    year: int | None = None
    for unit in run:
        name, word = unit.lastgroup or "", unit[unit.lastgroup or 0].lower()
        if name == "iso":
            days += _iso(word)
        elif name == "year":
            year = int(word)
            days += [span for part in _parts(waiting) for span in _span(part, year)] or _whole(waiting, year)
            waiting = []
        elif name != "open":
            waiting.append((name, word))
    if waiting and year is not None:
        # "2026-Q4" and "2023 November" say the year first, and then the whole year was not meant.
        found = [span for part in _parts(waiting) for span in _span(part, year)]
        days = [span for span in days if span != (date(year, 1, 1), date(year, 12, 31))] + found
    return (min(first for first, _ in days), max(last for _, last in days)) if days else None


def _whole(waiting: list[tuple[str, str]], year: int) -> list[tuple[date, date]]:
    return [] if waiting else [(date(year, 1, 1), date(year, 12, 31))]


def _parts(waiting: list[tuple[str, str]]) -> Iterator[tuple[str, str, int | None]]:
    """Yield months, seasons and quarters, each month with the day that stands beside it."""
    for index, (name, word) in enumerate(waiting):
        if name == "day":
            continue
        beside = [waiting[at] for at in (index - 1, index + 1) if 0 <= at < len(waiting)]
        day = next((int(number) for kind, number in beside if kind == "day"), None)
        yield name, word, day if name == "month" else None


def _span(part: tuple[str, str, int | None], year: int) -> list[tuple[date, date]]:
    name, word, day = part
    if name == "quarter":
        first = 3 * int(word[1]) - 2
        months = first, first + 2
    elif name == "season":
        months = _SEASONS[word]
    else:
        months = (_MONTHS.index(word[:3]) + 1,) * 2
    last = calendar.monthrange(year, months[1])[1]
    if day is not None and 1 <= day <= last:
        return [(date(year, months[0], day), date(year, months[0], day))]
    return [(date(year, months[0], 1), date(year, months[1], last))]


def _iso(word: str) -> list[tuple[date, date]]:
    try:
        day = date.fromisoformat(word)
    except ValueError:
        return []
    return [(day, day)]
