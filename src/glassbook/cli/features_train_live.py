"""How a training of dictionaries goes while it goes: loss, FVU, L0, dead share, and the time that is left."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from glassbook.cli.door import tell
from glassbook.cli.long_work import SAY_EVERY_S, spelled
from glassbook.training.loop import Progress as Standing

Report = Callable[[Standing], None]

_DRAW_EVERY_S = 0.5


@contextmanager
def live_metrics() -> Iterator[Report]:
    """Yield what a training tells where it stands: a bar on a terminal, else a line a minute on stderr."""
    if not sys.stderr.isatty():
        yield Lines(time.monotonic()).report
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        task, drawn = bars.add_task("training"), [0.0]

        def report(now: Standing) -> None:
            # Reading a metric makes a GPU wait.
            if time.monotonic() - drawn[0] >= _DRAW_EVERY_S:
                drawn[0] = time.monotonic()
                bars.update(task, description=say(now.metrics), completed=now.step, total=now.steps)

        yield report


class Lines:
    """A line on stderr when a minute has gone by since the last one."""

    def __init__(self, now: float) -> None:
        self.said = now

    def report(self, now: Standing) -> None:
        """Say where the training stands, unless something was said within the minute."""
        if time.monotonic() - self.said < SAY_EVERY_S:
            return
        self.said = time.monotonic()
        left = f", {spelled(now.seconds_left)} left" if now.step < now.steps else ""
        tell(f"step {now.step:,} of {now.steps:,}{left}: {say(now.metrics)}")


def say(metrics: Mapping[str, float]) -> str:
    """Return the metrics of a step in words: one number each, or from the least to the most of several dictionaries."""
    said = []
    for name, label, spell in (
        ("loss", "loss", "{:.3f}".format),
        ("fvu", "FVU", "{:.3f}".format),
        ("l0", "L0", "{:.1f}".format),
        ("dead", "dead", "{:.1%}".format),
    ):
        values = [value for key, value in metrics.items() if key.endswith(f"/{name}")]
        if values:
            ends = dict.fromkeys((spell(min(values)), spell(max(values))))
            said.append(f"{label} {' to '.join(ends)}")
    return ", ".join(said)
