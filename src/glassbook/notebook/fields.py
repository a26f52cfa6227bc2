"""The fields of front matter: their types, and one sentence for each that does not fit."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

Type = Literal[
    "text", "whole number", "yes or no", "day", "quarter", "web address", "list of text", "list of corrections"
]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, what it holds, and the values it may have where they are few."""

    name: str
    type: Type
    among: tuple[str, ...] = ()


COMMON = (
    Field("title", "text"),
    Field("kind", "text"),
    Field("date", "day"),
    Field("publish_date", "day"),
    Field("tags", "list of text"),
    Field("aliases", "list of text"),
    Field("summary", "text"),
    Field("meta_description", "text"),
    Field("meta_image", "text"),
    Field("private", "yes or no"),
    Field("draft", "yes or no"),
    Field("corrections", "list of corrections"),
)
_CORRECTION = ("said", "right", "source", "where")
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")


def check_fields(fields: Mapping[str, Any], known: Mapping[str, Field], kind: str) -> Iterator[tuple[str, str]]:
    """Yield a field's name and what is wrong with it; unknown names are kept, unless they look like a slip of a known one."""
    for name, value in fields.items():
        if name not in known:
            # A slip of case or of a letter in `private` would publish what was meant to stay.
            near = get_close_matches(name.casefold(), known, n=1, cutoff=0.82)
            if near and not _says_the_same(name, near[0]):
                yield name, f"a {kind} has no field '{name}'; did you mean '{near[0]}'?"
        elif (value is not None or known[name].type == "yes or no") and (wrong := _wrong(known[name], value)):
            yield name, f"the field '{name}' {wrong}"


def day(value: Any) -> datetime.date | None:
    """Return a value of front matter as a day, or None where it is none."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def is_yes(value: Any) -> bool:
    """Return whether a value of front matter says yes, in YAML's words of either age."""
    return str(value).casefold() in _YES


def means_private(fields: Mapping[str, Any]) -> bool:
    """Return whether front matter of any origin asks for privacy: only a clear no to a word near `private` is none."""
    asked = (value for name, value in fields.items() if get_close_matches(name.casefold(), ["private"], cutoff=0.82))
    return any(str(value).casefold() not in _NO for value in asked)


def _says_the_same(name: str, known: str) -> bool:
    """Return whether a name of another generator is only spelled otherwise, as `publishDate` is."""
    return "_" in known and "_" not in name and re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold() == known


def _wrong(field: Field, value: Any) -> str:
    """Return what is wrong with a value, or nothing."""
    if not _FITS[field.type](value):
        return f"holds {_shown(value)}, which is no {field.type}; write {_EXAMPLES[field.type]}"
    if field.among and value not in field.among:
        near = get_close_matches(str(value), field.among, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"write one of {', '.join(field.among)}"
        return f"is '{value}'; {hint}"
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{'a list' if isinstance(value, list) else 'fields'} of {len(value)}"
    text = "nothing" if value is None else f"'{value}'"
    return text if len(text) <= 60 else f"{text[:57]}…'"


def _is_correction(row: Any) -> bool:
    needed, known = set(_CORRECTION[:3]), set(_CORRECTION)
    return isinstance(row, dict) and needed <= set(row) <= known and all(map(_is_text, row.values()))


def _is_text(value: Any) -> bool:
    # A title of digits, or a period such as 2026, is text to its writer.
    return isinstance(value, str | int | datetime.date) and not isinstance(value, bool)


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"https?://[^\s<>\"]+", value) is not None


_FITS = {
    "text": _is_text,
    "whole number": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "yes or no": lambda value: str(value).casefold() in (*_YES, *_NO),
    "day": lambda value: day(value) is not None,
    "quarter": lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-Q[1-4]", value) is not None,
    "web address": lambda value: value == "" or _is_address(value),
    "list of text": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "list of corrections": lambda value: isinstance(value, list) and all(map(_is_correction, value)),
}
_EXAMPLES = {
    "text": "words, in quotes where YAML reads them as something else",
    "whole number": "digits, from 1 on",
    "yes or no": "true or false",
    "day": "it as 2026-11-23",
    "quarter": "it as 2026-Q4",
    "web address": "it from https:// on",
    "list of text": "it as [one, two]",
    "list of corrections": "a list whose rows have 'said', 'right', 'source' and, where it helps, 'where'",
}
