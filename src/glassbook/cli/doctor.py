"""`glassbook doctor`: is this machine ready, and is what it computes right?"""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.options import Dtype, Json
from glassbook.cli.output import print_facts, print_json

if TYPE_CHECKING:
    from glassbook.cli.doctor_checks import Check

DoctorModel = Annotated[str, typer.Option("--model", metavar="MODEL", help="The model to try.")]
Full = Annotated[bool, typer.Option("--full", help="Compare the checksum of every cached byte.")]


def doctor(
    model: DoctorModel = "smollm2-135m", dtype: Dtype = "float32", full: Full = False, as_json: Json = False
) -> None:
    """Say whether this machine is ready.

    Versions, threads, precision, room, the model's answers and its speed. Exits with 1 where a check does not hold.
    """
    start = time.perf_counter()
    checks = []
    for check in examine(model, dtype, full):
        checks.append(check)
        if not as_json:
            _print(check)
    said, holds = verdict(checks), all(check.holds for check in checks)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(
            {
                "holds": holds,
                "verdict": said,
                "seconds": round(seconds, 2),
                "checks": [asdict(check) for check in checks],
            }
        )
    else:
        typer.echo(f"\n{said} ({seconds:.1f} s)")
    if not holds:
        raise typer.Exit(1)


def examine(model: str, dtype: str, full: bool = False) -> "Iterator[Check]":
    """Yield every check in turn; without a model at hand, those of the machine only."""
    from glassbook.cli import doctor_checks, doctor_model
    from glassbook.core.devices import as_weight_dtype
    from glassbook.core.errors import GlassbookError
    from glassbook.models.loading.opening import open_model

    precision = as_weight_dtype(dtype)
    yield doctor_checks.check_versions()
    yield doctor_checks.check_threads()
    yield doctor_checks.check_precision()
    yield doctor_checks.check_memory(precision)
    yield doctor_checks.check_disk()
    cached = doctor_checks.check_cache(model, full)
    yield cached
    if not cached.holds:
        return
    try:
        opened = open_model(model, dtype=precision)
    except GlassbookError as fault:
        yield doctor_checks.Check("opening", False, str(fault), "mend this first; the model was not tried")
        return
    yield doctor_model.check_parity(opened, model)
    yield doctor_model.check_tokenizer(opened)
    yield doctor_model.check_forward(opened)
    yield doctor_model.check_generation(opened)


def verdict(checks: "list[Check]") -> str:
    """Return what the checks come to, in one plain sentence."""
    failed = [check for check in checks if not check.holds]
    if not failed:
        compared = any(check.name == "parity" and check.figures for check in checks)
        answers = ", and its model answers as the reference does" if compared else ""
        return f"All {len(checks)} checks hold: this machine is ready{answers}."
    names = ", ".join(check.name for check in failed)
    hold = "checks do not hold" if len(failed) > 1 else "check does not hold"
    return f"{len(failed)} {hold} of {len(checks)} ({names}); next: {failed[0].next_step}."


def _print(check: "Check") -> None:
    mark = "✓" if check.holds else "✗"
    step = f" → {check.next_step}" if check.next_step else ""
    print_facts({f"{mark} {check.name}".ljust(14): check.finding + step})
