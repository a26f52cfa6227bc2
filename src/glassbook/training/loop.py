"""The one loop: steps, checkpoints from which it goes on to the same bits, a budget of time, and what is known of the rest."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.training.checkpoint import read_checkpoint, write_checkpoint
from glassbook.training.learner import Learner, Stream
from glassbook.training.processes import ALONE, Processes

_COUNTED = ("tokens", "flop")


@dataclass(frozen=True)
class Settings:
    """How long to train, and what to do on the way; an `every` of 0 is only at the end.

    `budget_s` ends one call after so many seconds, with a checkpoint, so that a training can be made in legs.
    `peak_flop_s`, what the machine could do at best, adds the share of it that was used. Of several `processes` that train
    together all gather a checkpoint and the first writes it.
    """

    steps: int
    checkpoint_every: int = 0
    log_every: int = 10
    evaluate_every: int = 0
    budget_s: float | None = None
    peak_flop_s: float | None = None
    processes: Processes = ALONE


@dataclass(frozen=True)
class Progress:
    """Where a training stands; `seconds_left` is at the pace of this call so far."""

    step: int
    steps: int
    seconds_left: float
    metrics: Mapping[str, float]

    @property
    def says(self) -> str:
        """Return it in a few words."""
        loss = f", loss {self.metrics['loss']:.3f}" if "loss" in self.metrics else ""
        return f"step {self.step:,} of {self.steps:,}{loss}, {_spell(self.seconds_left)} left"


@dataclass
class History:
    """Every logged metric with the steps after which it was read.

    `tokens` and `flop` are counted from the beginning, their rates over the steps since the row before.
    """

    columns: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)
    steps_done: int = 0
    is_finished: bool = False

    def add(self, step: int, row: Mapping[str, float]) -> None:
        """Add metrics read after `step` steps."""
        for name, value in row.items():
            steps, values = self.columns.setdefault(name, ([], []))
            steps.append(step)
            values.append(float(value))

    def steps(self, name: str) -> list[int]:
        """Return after which steps `name` was read; raise InputError where it never was."""
        return self._column(name)[0]

    def values(self, name: str) -> list[float]:
        """Return what was read of `name`, in order; raise InputError where it never was."""
        return self._column(name)[1]

    def last(self, name: str) -> float:
        """Return what was read of `name` last."""
        return self.values(name)[-1]

    def _column(self, name: str) -> tuple[list[int], list[float]]:
        if name not in self.columns:
            raise InputError(f"this training has no metric '{name}'; it has {', '.join(self.columns) or 'none'}")
        return self.columns[name]

    def state(self) -> dict[str, Tensor]:
        """Return the columns as tensors, two rows each: steps and values."""
        return {name: torch.tensor(pair, dtype=torch.float64) for name, pair in self.columns.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put the columns back."""
        self.columns = {name: ([int(step) for step in pair[0]], pair[1].tolist()) for name, pair in state.items()}


def train(
    learner: Learner,
    stream: Stream,
    settings: Settings,
    *,
    folder: str | Path | None = None,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    on_metrics: Callable[[int, Mapping[str, float]], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Train up to `settings.steps` and return every logged metric.

    With a folder, a call goes on from its last sound checkpoint: learner, stream and torch's random numbers are as they
    were, so on a CPU with the same threads the weights come out the same bit for bit. `evaluate` draws from random numbers
    of its own. Ctrl-C ends the step at hand, writes a checkpoint, then raises KeyboardInterrupt; a second one raises at
    once. After a kill, steps since the last checkpoint are made again, and `on_metrics` told of them again.
    Raises InputError where the loss is not finite, FileFormatError where all checkpoints are damaged.
    """
    loop = _Loop(learner, stream, settings, Path(folder) if folder else None, evaluate, on_metrics, progress)
    loop.resume()
    with _interrupts() as asked:
        loop.run(asked)
    return loop.history


@dataclass
class _Loop:
    learner: Learner
    stream: Stream
    settings: Settings
    folder: Path | None
    evaluate: Callable[[], Mapping[str, float]] | None
    on_metrics: Callable[[int, Mapping[str, float]], None] | None
    progress: Callable[[Progress], None] | None
    history: History = field(default_factory=History)
    step: int = 0
    written: int = -1
    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0.0))

    def resume(self) -> None:
        """Take everything from the last sound checkpoint, where there is one."""
        tensors = read_checkpoint(self.folder) if self.folder else None
        if tensors is None:
            return
        self.learner.load_state(_below(tensors, "learner/"))
        self.stream.load_state(_below(tensors, "stream/"))
        self.history.load_state(_below(tensors, "history/"))
        self.step = self.written = int(tensors["step"])
        self.totals = dict(zip(_COUNTED, tensors["totals"].tolist(), strict=True))
        torch.set_rng_state(tensors["random/cpu"])
        if "random/cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random/cuda"])

    def run(self, asked: threading.Event) -> None:
        """Make the steps that are left, as far as time and the person allow."""
        wanted, clock, together = self.settings, _Clock(self.step), self.settings.processes
        is_asked = False
        if self.step == 0 and wanted.evaluate_every:
            self._keep(self._evaluated(clock))
        while self.step < wanted.steps:
            metrics = self.learner.step(self.stream.next())
            self.step += 1
            self._count(metrics, clock)
            is_last = self.step == wanted.steps
            is_asked = together.any(asked.is_set())
            is_late = wanted.budget_s is not None and together.any(clock.seconds >= wanted.budget_s)
            is_over = is_asked or is_late
            if is_last or _is_due(self.step, wanted.log_every):
                self._check(metrics)
                known = {name: total for name, total in self.totals.items() if name in metrics}
                self._keep({**metrics, **known, **clock.rates(wanted.peak_flop_s)})
            if (is_last or _is_due(self.step, wanted.evaluate_every)) and self.evaluate:
                self._keep(self._evaluated(clock))
            if self.progress:
                self.progress(Progress(self.step, wanted.steps, clock.left(self.step, wanted.steps), metrics))
            if is_last or is_over or _is_due(self.step, wanted.checkpoint_every):
                self._check(metrics)
                self._write(clock)
            if is_over and not is_last:
                break
        self.history.steps_done, self.history.is_finished = self.step, self.step >= wanted.steps
        if is_asked or asked.is_set():
            raise KeyboardInterrupt

    def _count(self, metrics: Mapping[str, float], clock: "_Clock") -> None:
        for name in _COUNTED:
            self.totals[name] += metrics.get(name, 0.0)
            clock.counted[name] += metrics.get(name, 0.0)

    def _check(self, metrics: Mapping[str, float]) -> None:
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise InputError(f"the loss is {metrics['loss']} after step {self.step:,}; lower the learning rate")

    def _keep(self, row: Mapping[str, float]) -> None:
        self.history.add(self.step, row)
        if self.on_metrics and row:
            self.on_metrics(self.step, row)

    def _evaluated(self, clock: "_Clock") -> Mapping[str, float]:
        if not self.evaluate:
            return {}
        cards = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with clock.paused(), torch.random.fork_rng(devices=cards):
            return self.evaluate()

    def _write(self, clock: "_Clock") -> None:
        if self.folder is None or self.written == self.step:
            return
        random = {"random/cpu": torch.get_rng_state()}
        counts = {
            "step": torch.tensor(self.step),
            "totals": torch.tensor(list(self.totals.values()), dtype=torch.float64),
        }
        if torch.cuda.is_available():
            random["random/cuda"] = torch.cuda.get_rng_state()
        states = {"learner": self.learner.state(), "stream": self.stream.state(), "history": self.history.state()}
        tensors = {f"{part}/{name}": value for part, state in states.items() for name, value in state.items()}
        if self.settings.processes.is_first:
            with clock.paused():
                write_checkpoint(self.folder, self.step, {**tensors, **random, **counts})
        self.written = self.step


class _Clock:
    """The time of one call: all of it for the budget, that of the steps alone for rates."""

    def __init__(self, first_step: int) -> None:
        self.first_step = first_step
        self.began = self.since = time.perf_counter()
        self.counted = dict.fromkeys(_COUNTED, 0.0)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def rates(self, peak: float | None) -> dict[str, float]:
        """Return what was done a second since the last call, and begin to count anew."""
        now = time.perf_counter()
        rates = {f"{name}_per_s": done / (now - self.since) for name, done in self.counted.items() if done}
        self.since, self.counted = now, dict.fromkeys(_COUNTED, 0.0)
        if peak and "flop_per_s" in rates:
            rates["share_of_peak"] = rates["flop_per_s"] / peak
        return rates

    def left(self, step: int, steps: int) -> float:
        return self.seconds / max(step - self.first_step, 1) * (steps - step)

    @contextmanager
    def paused(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.since += time.perf_counter() - begin


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets, so that no step is cut in two; a second Ctrl-C acts as it always does."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def note(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _spell(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
