"""How far long work is: a bar with the time left on a terminal, else a line a minute on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from glassbook.cli.door import tell
from glassbook.cli.output import progress
from glassbook.files.hashes import Progress as Report

SAY_EVERY_S = 60.0


@contextmanager
def long_work(unit: str) -> Iterator[Report]:
    """Yield what long work reports to: label, how many of `unit` are done, and how many there will be."""
    if sys.stderr.isatty():
        with progress() as report:
            yield report
        return
    lines = Lines(unit, time.monotonic())
    yield lines.report


class Lines:
    """A line on stderr when a minute has gone by since the last one, with rate and time left."""

    def __init__(self, unit: str, now: float) -> None:
        self.unit, self.said = unit, now
        self.began: dict[str, tuple[float, int]] = {}

    def report(self, label: str, done: int, total: int) -> None:
        """Say how far the work called `label` is, unless something was said within the minute."""
        now = time.monotonic()
        start, before = self.began.setdefault(label, (now, done))
        if now - self.said < SAY_EVERY_S or done <= before or now <= start:
            return
        self.said = now
        rate = (done - before) / (now - start)
        left = f", {spelled((total - done) / rate)} left" if total > done else ""
        tell(f"{label}: {done:,} of {max(total, done):,} {self.unit} ({rate:,.0f} a second{left})")


def spelled(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
