"""The options of a sweep: which direction, over which grid, measured how; and how they are read."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Weights
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.steering.sweeps.settings import Pairs

Judge = Callable[[str], float]
_SEVERAL = "such as 4-19, 4:20:2 or 4,8,12"


@dataclass(frozen=True, slots=True)
class SweptModel(Weights):
    """Which model is swept; its name is an option, so that a run can be resumed without it."""

    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A known name, a folder, a .gguf file, or a hub id owner/name.")
    ] = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Direction:
    """Where the direction comes from and how it acts."""

    contrast: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Pairs of texts: sentiment, persona/<name>, or a file.")
    ] = None
    positives: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts to steer towards, one a line; with --negatives.")
    ] = None
    negatives: Annotated[Path | None, typer.Option(metavar="FILE", help="Texts to steer away from.")] = None
    vector: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A vector that an earlier run kept, tried at every layer.")
    ] = None
    direction: Annotated[str, typer.Option(help="How texts become a vector: mean-difference, pca, logistic, ...")] = (
        "mean-difference"
    )
    site_kind: Annotated[str, typer.Option(metavar="KIND", help="Where in each layer to read and steer.")] = (
        "resid_post"
    )
    operator: Annotated[str | None, typer.Option(help="add, ablate, ...; else the direction's own.")] = None
    positions: Annotated[
        str | None, typer.Option(help="all, prompt, generated, front, or indices 0,1,2; else the direction's own.")
    ] = None

    def check(self) -> None:
        """Raise InputError unless the direction comes from one place, given whole."""
        ways = [(self.contrast,), (self.positives, self.negatives), (self.vector,)]
        begun = [way for way in ways if any(part is not None for part in way)]
        if len(begun) != 1 or None in begun[0]:
            raise InputError(
                "a sweep tries one direction; give --contrast, or --positives with --negatives, or --vector"
            )

    def pairs(self) -> "Pairs":
        """Return what the direction is made from, as `sweep` takes it."""
        from glassbook.cli.steering_experiment import read_texts
        from glassbook.steering.files import load_vector

        if self.vector is not None:
            return load_vector(self.vector)
        if self.positives is not None and self.negatives is not None:
            return read_texts(self.positives), read_texts(self.negatives)
        return self.contrast or ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Which cells are tried, and what may be paid for an effect."""

    layers: Annotated[
        str | None, typer.Option(metavar="LAYERS", help=f"Layers {_SEVERAL}; else those around the middle.")
    ] = None
    strengths: Annotated[str, typer.Option(metavar="NUMBERS", help="Strengths with commas between them.")] = "1,2,4,8"
    budget: Annotated[float, typer.Option(help="How many times the perplexity of unrelated text may become.")] = 1.1
    n_random: Annotated[int, typer.Option(help="How many random directions go through the same choice.")] = 20
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What the effect is, and on what it is measured."""

    effect: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.py:FUNCTION", help="choice-log-odds, perplexity-ratio, or your function text -> number."
        ),
    ] = "choice-log-odds"
    choices: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="What the effect is measured on; else what goes with --contrast."),
    ] = None
    topic: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Texts about the topic, for the perplexity ratio.")
    ] = None
    n_items: Annotated[int, typer.Option(help="How many items at most; half of them choose, half of them report.")] = 64
    n_pairs: Annotated[int, typer.Option(help="How many pairs at most make the direction.")] = 128
    instruction: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to write before a prompt instead of steering.")
    ] = None
    text: Annotated[str, typer.Option(metavar="NAME|FILE", help="The unrelated text that the cost is measured on.")] = (
        "alice"
    )
    n_tokens: Annotated[int, typer.Option(help="How many tokens to write at the chosen cell.")] = 24

    def items(self) -> str | None:
        """Return the name or file that the items come from; raise InputError where two are given or one is of no use."""
        if self.topic is not None and self.effect != "perplexity-ratio":
            raise InputError("--topic is for --effect perplexity-ratio; other effects are measured on --choices")
        if self.topic is not None and self.choices is not None:
            raise InputError("one effect is measured on one set; give --topic or --choices, not both")
        return self.choices if self.topic is None else self.topic


def settings_of(direction: Direction, grid: Grid, measured: Measured) -> dict[str, Any]:
    """Return the options as the fields of `Settings`."""
    from glassbook.cli.steering_experiment import parse_positions

    return {
        "direction": direction.direction,
        "site": direction.site_kind,
        "operator": direction.operator,
        "positions": None if direction.positions is None else parse_positions(direction.positions),
        "items": measured.items(),
        "budget": grid.budget,
        "n_random": grid.n_random,
        "seed": grid.seed,
    } | {name: value for name, value in asdict(measured).items() if name not in ("effect", "choices", "topic")}


def read_layers(text: str | None) -> list[int] | None:
    """Return layers from `4-19` (both ends), `4:20:2` (as Python's range) or `4,8,12`, also mixed with commas.

    Raises InputError for anything else and for a range that is empty.
    """
    if text is None:
        return None
    found = [layer for part in text.split(",") for layer in _layers(part.strip(), text)]
    if not found:
        raise InputError(f"--layers '{text}' is an empty range; give layers {_SEVERAL}")
    return found


def _layers(part: str, text: str) -> range:
    numbers = part.replace("-", ":").split(":")
    if not all(number.isdecimal() for number in numbers) or len(numbers) > 3 or ("-" in part and len(numbers) != 2):
        raise InputError(f"--layers '{text}' cannot be read; give layers {_SEVERAL}")
    values = [int(number) for number in numbers]
    if len(values) == 1:
        return range(values[0], values[0] + 1)
    if len(values) == 3 and values[2] == 0:
        raise InputError(f"--layers '{text}' has a step of 0; give layers {_SEVERAL}")
    return range(values[0], values[1] + 1) if "-" in part else range(*values)


def read_strengths(text: str) -> list[float]:
    """Return the numbers between commas; raise InputError for anything else."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--strengths '{text}' are not numbers with commas between them, such as 0.5,1,2,4") from None


def read_effect(text: str) -> "str | Judge":
    """Return the name of an effect, or the function that `FILE.py:function` names.

    The file is run, as Python would run it. Raises InputError where there is no such file or function, or where running the
    file fails.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py"):
        return text
    if not Path(path).is_file():
        raise InputError(f"there is no file '{path}' with an effect in it; give FILE.py:function")
    spec = importlib.util.spec_from_file_location(f"effect_{Path(path).stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        said = f"{type(fault).__name__}: {fault}".splitlines()[0]
        raise InputError(f"'{path}' could not be run ({said}); mend it, then try again") from fault
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(
            f"'{path}' has no function '{name}' that takes a text and returns a number; name one that it has"
        )
    return found
