"""What a sweep has measured so far, kept line by line so that it can be stopped anywhere and gone on with."""

from collections.abc import Mapping
from typing import Any

from glassbook.core.errors import RunError
from glassbook.files.hashes import hash_json
from glassbook.runs.reading import read_lines
from glassbook.runs.record import Run
from glassbook.views.view import plain

NAME = "sweep"


class Journal:
    """Measured values by key; with a Run, each is on the disk when `put` returns, its numbers exact to the last bit.

    The first line says what is being measured. Raises RunError where a Run holds the journal of another sweep.
    """

    def __init__(self, run: Run | None, asked: Mapping[str, Any]) -> None:
        self.run = run
        self._known: dict[str, Any] = {}
        mark = hash_json(plain(asked))
        for row in read_lines(run.journal(NAME)) if run else []:
            self._known[row["key"]] = row["value"]
        if self._known.get("asked", mark) != mark:
            raise RunError(
                f"the run {run.id if run else ''} holds another sweep's measurements; start another run for this one"
            )
        if "asked" not in self._known:
            self.put({"asked": mark})

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def put(self, values: Mapping[str, Any]) -> None:
        """Keep values that were measured together."""
        if self.run:
            self.run.append(NAME, [{"key": key, "value": value} for key, value in values.items()])
        self._known |= {key: plain(value) for key, value in values.items()}
