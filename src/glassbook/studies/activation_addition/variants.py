"""Other ways to steer with a direction about weddings, each through the same choice: where it is added, and how it is made."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glassbook.steering.recipes import directions, general_texts
from glassbook.steering.vectors import SteeringVector
from glassbook.studies.activation_addition.bench import Bench, Choice, Columns, named
from glassbook.studies.activation_addition.choosing import choose_all, told_of
from glassbook.studies.activation_addition.material import WEDDING_PAIRS
from glassbook.studies.activation_addition.perplexity import grid_columns
from glassbook.studies.contract import Cell

_LONGEST = 512


@dataclass(frozen=True)
class Variant:
    """A way to steer: `at(layer)` is its vector there, `strengths` are what it may choose from."""

    at: Mapping[int, SteeringVector]
    strengths: tuple[float, ...]


def measure_variants(cell: Cell) -> Columns:
    """Return every variant on the told half in the cell that it chose on the other, and its grid."""
    bench = Bench.of(cell)
    columns: dict[str, object] = {}
    variants = variants_of(bench)
    for number, (name, variant) in enumerate(variants.items()):
        cell.progress(number, len(variants), name)
        told, choice = _measured(bench, variant)
        columns |= named("told", told, f"_{name}") | grid_columns(choice, f"_{name}")
    return bench.finish(columns)


def variants_of(bench: Bench) -> dict[str, Variant]:
    """Return the variants by name.

    Those at all tokens leave out the document start, on which every later token leans (an attention sink). All but the
    first are made from sentences, ours, and not from the texts that are measured.
    """
    settings, places = bench.settings, [f"L{layer}.resid_pre" for layer in bench.settings.layers]
    front = bench.vectors(settings.layers)
    weddings, others = ([pair[side] for pair in WEDDING_PAIRS] for side in (0, 1))
    # As many characters as our sentences have, so that what differs is what they are about.
    general = general_texts(64)
    made = {
        "mean_difference": directions(bench.model, weddings, others, places, "mean-difference"),
        "mean_centered": directions(bench.model, weddings, general, places, "mean-centered"),
        "pca": directions(bench.model, weddings, others, places, "pca-center"),
    }
    rows = {layer: front[f"L{layer}.resid_pre"] for layer in settings.layers}
    # The first row is of the document start and zero; the second is the difference of the two tokens.
    everywhere = {layer: _beyond_start(vector.with_(values=vector.table[1])) for layer, vector in rows.items()}
    found = {"actadd_everywhere": Variant(everywhere, settings.strengths_all)}
    for name, vectors in made.items():
        at = {layer: _beyond_start(vectors[f"L{layer}.resid_pre"]) for layer in settings.layers}
        found[name] = Variant(at, settings.strengths_all)
    at = {layer: one.with_(operator="ablate") for layer, one in found["mean_difference"].at.items()}
    return found | {"ablation": Variant(at, (1.0,))}


def _measured(bench: Bench, variant: Variant) -> tuple[Mapping[str, NDArray[np.float64]], Choice]:
    def make(layer: int, strength: float) -> list[SteeringVector]:
        return [strength * variant.at[layer]]

    (choice,) = choose_all(bench, list(variant.at), variant.strengths, make)
    return told_of(bench, make(*choice.place), [choice])[0], choice


def _beyond_start(vector: SteeringVector) -> SteeringVector:
    return vector.with_(positions=tuple(range(1, _LONGEST)), needs_bos=True)
