"""The one door of the command line: whatever goes wrong inside leaves it as a sentence and an exit status."""

import errno
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from glassbook.cli.output import printable
from glassbook.core.errors import GlassbookError

IMPOSSIBLE, STOPPED, UNHEARD = 2, 130, 141
"""Exit statuses: what was asked cannot be done; Ctrl-C; whoever read our output has gone (128 + SIGPIPE)."""

DEBUG = "GLASSBOOK_DEBUG"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Typer carries its own copy of click or uses the installed one; the class of usage errors is to be had of either.
_UsageFault: type[Exception] = typer.BadParameter.mro()[2]


def guarded(work: Callable[[], int]) -> int:
    """Return the exit status of `work`; an error becomes one sentence on stderr.

    A traceback comes only for GLASSBOOK_DEBUG=1.
    """
    try:
        with _spoken_warnings():
            status = work()
            sys.stdout.flush()
            return status
    except typer.Exit as fault:
        return fault.exit_code
    except BrokenPipeError:
        _let_go_of_output()
        return UNHEARD
    except (KeyboardInterrupt, typer.Abort):
        tell("stopped; what was finished is kept")
        return STOPPED
    except Exception as fault:
        if os.environ.get(DEBUG) == "1":
            traceback.print_exc()
        if isinstance(fault, OSError) and fault.errno in _FULL:
            _let_go_of_output()
        for line in _sentences(fault):
            tell(line)
        return IMPOSSIBLE


def tell(text: str) -> None:
    """Print one line for people on stderr."""
    print(f"glassbook: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)


def sentence(fault: Exception) -> str:
    """Return what to tell a person of an error: the thing, the place, the next step."""
    if isinstance(fault, GlassbookError):
        return str(fault)
    if isinstance(fault, _UsageFault):
        return _usage(fault)
    if isinstance(fault, MemoryError) or _is_out_of_memory(fault):
        return (
            "there is not enough memory for this; close other programs, ask for less at once, or try --dtype bfloat16"
        )
    if isinstance(fault, OSError):
        return _system(fault)
    return (
        f"Glassbook made a mistake of its own ({type(fault).__name__}: {str(fault)[:300]}); "
        f"run this again with {DEBUG}=1 to see where, and please report it"
    )


def _sentences(fault: Exception) -> list[str]:
    """Return a sentence for each fault that an error tells of, with files as seen from here; most tell of one."""
    single = getattr(fault, "faults", ()) if isinstance(fault, GlassbookError) else ()
    here = ""
    with suppress(OSError):  # The working folder may have gone.
        here = f"{Path.cwd()}{os.sep}"
    return [str(one).removeprefix(here) for one in single] or [sentence(fault)]


def _usage(fault: Exception) -> str:
    message = fault.format_message().strip().rstrip(".")  # type: ignore[attr-defined]
    context = getattr(fault, "ctx", None)
    path = context.command_path if context else "glassbook"
    return f"{message[:1].lower()}{message[1:]}; '{path} --help' shows what can be said"


def _is_out_of_memory(fault: Exception) -> bool:
    # torch says it by a RuntimeError on the CPU and by a class of its own on a GPU; torch may not be imported here.
    names = [kind.__name__ for kind in type(fault).__mro__]
    return "OutOfMemoryError" in names or ("RuntimeError" in names and "DefaultCPUAllocator" in str(fault))


def _system(fault: OSError) -> str:
    place = f"'{fault.filename}'" if fault.filename else "the output"
    if fault.errno in _FULL:
        return f"the disk is full: {place} could not be written; free some space and run this again"
    reason = (fault.strerror or str(fault)).lower()
    return f"{place} cannot be used ({reason}); check the path and its permissions"


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Let our warnings be heard as lines for people; those of libraries are for their developers."""

    def show(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
        if category.__module__.startswith("glassbook"):
            tell(f"note: {message}")

    ours, notes = logging.getLogger("glassbook"), _Notes(logging.WARNING)
    ours.addHandler(notes)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        ours.removeHandler(notes)


class _Notes(logging.Handler):
    """What our own log warns of, as lines for people."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one warning."""
        tell(f"note: {record.getMessage()}")


def _let_go_of_output() -> None:
    """Point stdout at nothing once nobody takes it, so that Python's last flush does not complain of it."""
    with suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
