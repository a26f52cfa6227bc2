"""The settings of a notebook: what `glassbook.toml` says under `[notebook]`."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from glassbook.notebook.faults import NotebookError, NotebookFaults

TABLE = "notebook"
_ADDRESS = re.compile(r"https?://[^\s/<>\"'?#]+(?:/[^\s<>\"'?#]*)?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a notebook is called and where it stands; without an `address` nothing is written that needs absolute links."""

    title: str = "Notebook"
    author: str = ""
    language: str = "en"
    description: str = ""
    address: str = ""
    repository: str = ""


def read_settings(path: Path) -> Settings:
    """Return the settings in a file; raise NotebookError for what is no TOML, no setting, or no value that fits."""
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise NotebookError(f"this cannot be read as TOML ({fault}); mend it there", path=str(path)) from fault
    rows: Any = found.get(TABLE, {})
    unknown: list[tuple[str, str, tuple[str, ...]]] = [("", name, (TABLE,)) for name in found if name != TABLE]
    if isinstance(rows, dict):
        unknown += [(f"[{TABLE}] ", name, Settings.__struct_fields__) for name in rows]
    faults = [
        NotebookError(_no_setting(place, name, known), path=str(path), line=_line_of(text, name))
        for place, name, known in unknown
        if name not in known
    ]
    if faults:
        raise NotebookFaults(faults)
    try:
        settings = msgspec.convert(rows, Settings)
    except msgspec.ValidationError as fault:
        sentence = f"a setting under [{TABLE}] is not what it should be ({fault}); write text in quotes"
        raise NotebookError(sentence, path=str(path)) from fault
    _check(settings, text, path)
    return settings


def _check(settings: Settings, text: str, path: Path) -> None:
    """Raise NotebookFaults for settings that no page could use."""
    wrong = {
        "title": "" if settings.title.strip() else "is empty; write what the notebook is called",
        "language": ""
        if _LANGUAGE.fullmatch(settings.language)
        else f"is '{settings.language}'; write a language tag, such as en or pt-BR",
    }
    for name in ("address", "repository"):
        value = getattr(settings, name)
        if value and not _ADDRESS.fullmatch(value):
            wrong[name] = f"is '{value}'; write an address from https:// on, or leave it empty"
    faults = [
        NotebookError(f"the setting '{name}' {sentence}", path=str(path), line=_line_of(text, name))
        for name, sentence in wrong.items()
        if sentence
    ]
    if faults:
        raise NotebookFaults(faults)


def _no_setting(place: str, name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(known)}"
    return (
        f"{place}has no setting '{name}'; {hint}" if place else f"'{name}' is no part of a notebook's settings; {hint}"
    )


def _line_of(text: str, name: str) -> int:
    lines = (
        number for number, line in enumerate(text.split("\n"), 1) if re.match(rf"\s*\[?\"?{re.escape(name)}\b", line)
    )
    return next(lines, 1)
