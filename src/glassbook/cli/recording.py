"""How verbs keep Runs: the command as it was typed, the options, the weights and the machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from glassbook.models.model import Model
    from glassbook.runs.record import Run

COMMAND: ContextVar[tuple[str, ...]] = ContextVar("COMMAND", default=("glassbook",))
"""The command line that is being carried out, which a Run records."""

Root = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where runs are kept; else GLASSBOOK_RUNS or the notebook's runs folder."),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Run records of what was asked: its kind, the options that shape its numbers, the seed, the code at work."""

    kind: str
    config: Mapping[str, Any]
    seed: int
    modules: Sequence[str]


@contextmanager
def recorded(asked: Asked, model: "Model", root: Path | None, resume: str | None = None) -> "Iterator[Run]":
    """Yield a Run that knows its command, its weights and its machine: a new one, or one that was cut short."""
    from glassbook.core.devices import hardware
    from glassbook.runs.record import start_run
    from glassbook.runs.resuming import resume_run

    config = {name: _plain(value) for name, value in asked.config.items()}
    weights = model.identity.to_dict()
    with (
        start_run(asked.kind, COMMAND.get(), config, seed=asked.seed, root=root, modules=asked.modules)
        if resume is None
        else resume_run(resume, asked.kind, config, seed=asked.seed, weights=weights, root=root)
    ) as run:
        run.note_weights(weights)
        run.note_hardware(hardware())
        yield run


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
