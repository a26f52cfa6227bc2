"""The fields of front matter: their types, and one sentence for each that does not fit."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

Type = Literal["text", "whole number", "yes or no", "day", "list of text", "list of corrections"]


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


def check_fields(fields: Mapping[str, Any], known: Mapping[str, Field], kind: str) -> Iterator[tuple[str, str]]:
    """Yield a field's name and what is wrong with it; unknown names are kept, unless they look like a slip of a known one."""
    for name, value in fields.items():
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.8)
            if near:
                yield name, f"a {kind} has no field '{name}'; did you mean '{near[0]}'?"
        elif value is not None and (wrong := _wrong(known[name], value)):
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


def _wrong(field: Field, value: Any) -> str:
    """Return what is wrong with a value, or nothing."""
    fits = _FITS[field.type](value)
    if not fits:
        return f"holds {value!r:.60}, which is no {field.type}; write {_EXAMPLES[field.type]}"
    if field.among and value not in field.among:
        near = get_close_matches(str(value), field.among, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"write one of {', '.join(field.among)}"
        return f"is '{value}'; {hint}"
    return ""


def _is_correction(row: Any) -> bool:
    return (
        isinstance(row, dict) and {"said", "right"} <= set(row) <= set(_CORRECTION) and all(map(_is_text, row.values()))
    )


def _is_text(value: Any) -> bool:
    # A title of digits, or a period such as 2026, is text to its writer.
    return isinstance(value, str | int | float | datetime.date) and not isinstance(value, bool)


_FITS = {
    "text": _is_text,
    "whole number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "yes or no": lambda value: isinstance(value, bool),
    "day": lambda value: day(value) is not None,
    "list of text": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "list of corrections": lambda value: isinstance(value, list) and all(map(_is_correction, value)),
}
_EXAMPLES = {
    "text": "words",
    "whole number": "digits",
    "yes or no": "true or false",
    "day": "it as 2026-11-23",
    "list of text": "it as [one, two]",
    "list of corrections": "each with 'said', 'right' and 'source'",
}
