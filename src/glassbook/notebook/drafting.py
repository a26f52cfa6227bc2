"""The text of a draft on a run: what was asked, what came out, every picture and number, and how to make it again."""

import datetime
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from glassbook.notebook.again import command_of, python_of
from glassbook.notebook.front_matter import join_front_matter
from glassbook.runs.reading import StoredRun
from glassbook.views.numbers import spell

_SPECIAL = re.compile(r"[\\`*\[\]{}<>$|~&]|(?<!\w)_|_(?!\w)|\A[#\-+=:\d]|(?<=run):")


def draft_of(run: StoredRun, title: str, outcome: Mapping[str, str]) -> str:
    """Return a draft of an entry on a run. `outcome` are the sentences in which the run says what came out."""
    record = run.record
    weights = weights_of(record)
    on = f" on {weights}" if weights else ""
    fields: dict[str, Any] = {
        "title": title,
        "kind": "post",
        "date": datetime.date.fromisoformat(str(record["started"])[:10]),
        "draft": True,
        "run": run.id,
        "tags": ["run", run.kind],
        "summary": _in_short(next(iter(outcome.values()), f"a run of kind {run.kind}{on}.")),
    }
    where = f" on {as_text(weights)}" if weights else ""
    asked = f"This was measured{where} on {str(record['started'])[:10]}, with seed {record['asked']['seed']}."
    parts = [
        "What this shows, in your own words.",
        asked,
        *(as_text(capitalized(sentence)) for sentence in outcome.values()),
        *(f"{{{{view {run.id}/{name}}}}}" for name in run.views()),
        _numbers(run),
        _again(record),
    ]
    return join_front_matter(fields, "\n\n".join(part.strip() for part in parts if part.strip()) + "\n")


def _in_short(sentence: str) -> str:
    """Return what a sentence says first: what comes after a semicolon stands in the text."""
    first, semicolon, _ = " ".join(sentence.split()).partition("; ")
    return capitalized(f"{first}." if semicolon else first)


def capitalized(sentence: str) -> str:
    """Return a sentence that begins with a capital."""
    return sentence[:1].upper() + sentence[1:]


def weights_of(record: Mapping[str, Any]) -> str:
    """Return the weights that a run was made on, with their quantization and precision; nothing where there were none."""
    weights = record.get("weights") or {}
    return ", ".join(str(weights[name]) for name in ("name", "quantization", "dtype") if weights.get(name))


def as_text(text: str) -> str:
    """Return words as Markdown that shows just these words, on one line."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", " ".join(text.split()))


def _numbers(run: StoredRun) -> str:
    """Return the last value of every metric as a table, each held to its run."""
    last = {row["name"]: row for row in run.metrics()}
    if not last:
        return ""
    rows = [
        f"| {as_text(name)} | [{_value(row['value'])}](run:{run.id}#{quote(name, safe='')}) | {as_text(row.get('unit') or '')} |"
        for name, row in last.items()
    ]
    return "\n".join(["## Every number", "", "| metric | value | unit |", "|---|---|---|", *rows])


def _value(value: Any) -> str:
    return spell(value) if isinstance(value, int | float) else as_text(str(value))


def _again(record: Mapping[str, Any]) -> str:
    command, python = f"$ {command_of(record)}", python_of(record)
    return "\n\n".join(["## Run it again", _fenced("console", command), "or, in Python:", _fenced("python", python)])


def _fenced(language: str, code: str) -> str:
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
