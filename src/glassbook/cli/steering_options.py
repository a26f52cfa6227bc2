"""The options of a steering experiment: how its vector is made, how it acts, what it is held against."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where the vector comes from: a pair of prompts (ActAdd), two sets of texts and a direction between them, or a file."""

    plus: Annotated[str | None, typer.Option(metavar="TEXT", help="ActAdd: the prompt to steer towards.")] = None
    minus: Annotated[str | None, typer.Option(metavar="TEXT", help="ActAdd: the prompt to steer away from.")] = None
    positives: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts to steer towards, one a line; with --negatives.")
    ] = None
    negatives: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts to steer away from; a mean-centered direction does without."),
    ] = None
    contrast: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Both sides at once: a contrast set, such as sentiment, or a file."),
    ] = None
    direction: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="How two sides become a vector: mean-difference, mean-centered, pca, pca-center or logistic.",
        ),
    ] = "mean-difference"
    token: Annotated[
        int,
        typer.Option(metavar="INDEX", help="The token of each text that is read; -1 is the last, -2 the one before."),
    ] = -1
    vector: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A vector, or set, that an earlier run kept (vector.safetensors)."),
    ] = None
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE",
            help="Where to read and steer, such as L6.resid_pre; several, or L8-16.resid_post, steer together.",
        ),
    ] = None

    def check(self) -> None:
        """Raise InputError unless exactly one way to come by a vector is given, and given whole."""
        sides = (self.positives,) if self.direction == "mean-centered" else (self.positives, self.negatives)
        ways = [(self.plus, self.minus), sides, (self.contrast,), (self.vector,)]
        begun = [way for way in ways if any(part is not None for part in way)]
        if len(begun) != 1 or None in begun[0]:
            raise InputError(
                "one vector is made in one way; give --plus with --minus, or --positives with --negatives, "
                "or --contrast, or --vector"
            )
        two_sided = self.positives is not None or self.contrast is not None
        if not two_sided and (self.direction != "mean-difference" or self.token != -1):
            raise InputError(
                "--direction and --token say how two sides of texts are read; give --contrast, or --positives with --negatives"
            )


@dataclass(frozen=True, slots=True)
class Acting:
    """How the vector acts."""

    strength: Annotated[float, typer.Option(help="What the vector is multiplied by; a negative one flips it.")] = 1.0
    positions: Annotated[
        str | None, typer.Option(help="all, prompt, generated, front, or indices 0,1,2; else the recipe's own.")
    ] = None
    operator: Annotated[
        str | None,
        typer.Option(help="add, ablate, clamp, scale, project or norm-preserving; else the recipe's own."),
    ] = None
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
