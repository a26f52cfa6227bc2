"""The options of a steering experiment: how its vector is made, how it acts, what it is held against."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where the vector comes from: a pair of prompts (ActAdd), two sets of texts (mean difference), or a file."""

    plus: Annotated[str | None, typer.Option(metavar="TEXT", help="ActAdd: the prompt to steer towards.")] = None
    minus: Annotated[str | None, typer.Option(metavar="TEXT", help="ActAdd: the prompt to steer away from.")] = None
    positives: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Mean difference: texts to steer towards, one a line.")
    ] = None
    negatives: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Mean difference: texts to steer away from.")
    ] = None
    contrast: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Mean difference: a contrast set, such as sentiment, or its file."),
    ] = None
    vector: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A vector that an earlier run kept (vector.safetensors).")
    ] = None
    site: Annotated[str | None, typer.Option(metavar="SITE", help="Where to read and steer, such as L6.resid_pre.")] = (
        None
    )

    def check(self) -> None:
        """Raise InputError unless exactly one way to come by a vector is given, and given whole."""
        ways = [(self.plus, self.minus), (self.positives, self.negatives), (self.contrast,), (self.vector,)]
        begun = [way for way in ways if any(part is not None for part in way)]
        if len(begun) != 1 or None in begun[0]:
            raise InputError(
                "one vector is made in one way; give --plus with --minus, or --positives with --negatives, "
                "or --contrast, or --vector"
            )


@dataclass(frozen=True, slots=True)
class Acting:
    """How the vector acts."""

    strength: Annotated[float, typer.Option(help="How many times the vector is added; a negative one flips it.")] = 1.0
    positions: Annotated[
        str | None, typer.Option(help="all, prompt, generated, front, or indices 0,1,2; else the recipe's own.")
    ] = None
    operator: Annotated[str | None, typer.Option(help="add or ablate; else the recipe's own.")] = None
    force: Annotated[bool, typer.Option("--force", help="Use a vector of another model; the run says so.")] = False


@dataclass(frozen=True, slots=True)
class Measuring:
    """What the effect is measured on and held against."""

    choices: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Choices that measure the effect; none measures nothing.")
    ] = "sentiment"
    n_random: Annotated[int, typer.Option(min=1, help="How many random directions of the same norm.")] = 20
    instruction: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What to write before the prompt instead of steering; else the choices' own."
        ),
    ] = None
