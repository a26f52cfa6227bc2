"""What a run was made with: versions, the machine, and what a part of it costs."""

import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import psutil

_PACKAGES = ("glassbook", "torch", "numpy", "tokenizers")


class Cost(msgspec.Struct, frozen=True):
    """Seconds of wall clock and of processor, peak memory in bytes, and floating-point operations where counted."""

    part: str
    wall_s: float
    cpu_s: float
    peak_bytes: int
    flop: float | None = None


class Measured:
    """The cost of a block, from when this is made to `finish`."""

    def __init__(self, part: str, flop: float | None = None) -> None:
        self.part, self.flop, self.peak = part, flop, 0
        # Forgetting the peak must not rob the blocks around this one of what they have seen.
        for outer in _UNDER_WAY:
            outer.peak = max(outer.peak, peak_memory())
        _UNDER_WAY.append(self)
        _reset_peak()
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self._cost: Cost | None = None

    def finish(self) -> None:
        """End the measurement; a second call changes nothing."""
        if self._cost is None:
            wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
            self._cost = Cost(self.part, wall, cpu, max(self.peak, peak_memory()), self.flop)
            _UNDER_WAY.remove(self)

    @property
    def cost(self) -> Cost:
        """Return what the block cost, ended now if it has not been."""
        self.finish()
        assert self._cost is not None
        return self._cost


_UNDER_WAY: list[Measured] = []


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on, none of them imported."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, object]:
    """Return what can be said of this machine without torch; callers that use torch add what it knows."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


@contextmanager
def measure(part: str, flop: float | None = None) -> Iterator[Measured]:
    """Measure the block; its cost is known when it ends, however it ends."""
    measured = Measured(part, flop)
    try:
        yield measured
    finally:
        measured.finish()


def peak_memory() -> int:
    """Return the most bytes of memory this process has held, since the last measured block began where the system can say."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reset_peak() -> None:
    clear = Path("/proc/self/clear_refs")
    try:
        clear.write_text("5")
    except OSError:
        # Only Linux can forget a peak; elsewhere a part shows the highest peak so far.
        return


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
