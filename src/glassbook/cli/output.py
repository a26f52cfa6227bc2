"""What verbs print: one JSON document for programs; facts and tables for people, in color only on a terminal."""

import json
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from glassbook.files.hashes import Progress as Report
from glassbook.views.view import plain

_GAP = "  "


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document; numbers that JSON cannot write are spelled as words (`"NaN"`, `"Infinity"`)."""
    print(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, facts))
    for name, value in facts.items():
        _print(Text.assemble((name.ljust(width), "bold"), _GAP, printable(value)))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print rows under their columns, those named in `right` aligned to the right."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(box=None, pad_edge=False)
        for name in columns:
            # What names a row is there to be copied, so the other columns give way first.
            table.add_column(name, justify="right" if name in right else "left", no_wrap=name == columns[0])
        for row in cells:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        pairs = zip(columns, row, widths, strict=True)
        print(
            _GAP.join(cell.rjust(width) if name in right else cell.ljust(width) for name, cell, width in pairs).rstrip()
        )


def print_heading(text: str) -> None:
    """Print a line that begins a part."""
    _print(Text(text, style="bold"))


def printable(text: str) -> str:
    """Return text that moves no cursor: control characters, newline and tab excepted, become U+FFFD."""
    return "".join(char if char in "\n\t" or unicodedata.category(char) != "Cc" else "\ufffd" for char in text)


@contextmanager
def progress() -> Iterator[Report]:
    """Yield what long work reports to: a bar for each label on stderr where that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda label, done, total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield report


def _print(text: Text) -> None:
    if sys.stdout.isatty():
        Console().print(text, soft_wrap=True)
    else:
        print(text.plain)
