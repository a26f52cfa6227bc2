"""The study: which arms there are, what each measures, and the pictures that are drawn from their numbers alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glassbook.images.smiley import ATTRIBUTES
from glassbook.studies.contract import STUDIES, Arm, Cell, Items, Picture, Study
from glassbook.studies.variational_autoencoders.codes import (
    CODERS,
    Coder,
    measure_baselines,
    measure_coder,
    measure_probes,
    measure_repository,
)
from glassbook.studies.variational_autoencoders.material import checksums
from glassbook.studies.variational_autoencoders.settings import GPU, SMOKE, Settings
from glassbook.studies.variational_autoencoders.smileys import SMILEY_CODERS, measure_blocks, measure_smiley_coder
from glassbook.studies.variational_autoencoders.traversing import WALKED, measure_classifier, measure_traversals
from glassbook.views import HeatMap, LineChart, Series

_READ = ("vae-8", "vae-200", "vsc-8", "vsc-200")
_HEADLINE = {"baselines", "vae-repository", "probes", *_READ}


@STUDIES.add("variational-autoencoders")
class VariationalAutoencoders(Study):
    """What a code holds as it grows wider, and whether making it sparse makes it clearer."""

    name: ClassVar[str] = "variational-autoencoders"
    title: ClassVar[str] = "Variational auto-encoders and variational sparse coding"
    draws = ("glassbook.studies.variational_autoencoders.drawings",)
    settings: ClassVar[Mapping[str, Any]] = {"smoke": SMOKE, "laptop": Settings(), "gpu": GPU}
    seeds: ClassVar[Mapping[str, int]] = {"smoke": 1, "laptop": 3, "gpu": 5}

    def arms(self, settings: Any) -> Sequence[Arm]:
        """Return baselines first, then the nets, then what compares them."""
        arms = [
            ("baselines", "the mean picture, an untrained net and PCA", ()),
            ("vae-repository", "the linked repository's VAE with a code of two numbers", ()),
            ("classifier", "an independent judge of classes", ()),
            *((name, _says(coder), ()) for name, coder in CODERS.items()),
            ("probes", "linear readers of codes, pixels, PCA and false labels", _READ),
            ("traversals", "walks along every unit of the code of 50 numbers", ("classifier", WALKED)),
            *((name, _says_smiley(name), ()) for name in SMILEY_CODERS),
            ("blocks", "how the codes of smileys compare", tuple(SMILEY_CODERS)),
        ]
        return [Arm(name, says, name in _HEADLINE, after) for name, says, after in arms]

    def measure(self, cell: Cell) -> Mapping[str, NDArray[Any]]:
        """Return the columns of one arm."""
        kinds: dict[str, Callable[[Cell], Mapping[str, NDArray[Any]]]] = {
            "baselines": measure_baselines,
            "vae-repository": measure_repository,
            "classifier": measure_classifier,
            **dict.fromkeys(CODERS, measure_coder),
            "probes": measure_probes,
            "traversals": measure_traversals,
            **dict.fromkeys(SMILEY_CODERS, measure_smiley_coder),
            "blocks": measure_blocks,
        }
        return kinds[cell.arm](cell)

    def sources(self, settings: Any) -> Mapping[str, str]:
        """Return the checksums of the known pictures and of the faces that we draw."""
        return checksums(settings)

    def views(self, items: Mapping[int, Items], settings: Any) -> Mapping[str, Picture]:
        """Return accuracy and active units over the width of the code, and the contrast of every factor."""
        views: dict[str, Picture] = {"units": _units(items), "contrasts": _contrasts(items)}
        return views | ({"probes": _probes(items)} if _has(items, "probes") else {})


def _says(coder: Coder) -> str:
    if coder.alpha is not None:
        return f"variational sparse coding, first version, {coder.d} numbers, alpha {coder.alpha:g}"
    return f"a VAE with {coder.d} numbers" if coder.beta else f"an auto-encoder without the KL term, {coder.d} numbers"


def _says_smiley(name: str) -> str:
    coder = SMILEY_CODERS[name]
    if not coder.is_sparse:
        return f"a beta-VAE of smileys, {coder.d} numbers"
    if not coder.pseudo_inputs:
        return "the second version without pseudo-inputs and warm-up, which is the first"
    return f"the second version on smileys, {coder.d} numbers{'' if coder.warm_up else ', without warm-up'}"


def _has(items: Mapping[int, Items], arm: str) -> bool:
    return all(arm in of_seed for of_seed in items.values())


def _over_seeds(items: Mapping[int, Items], arm: str, column: str) -> NDArray[np.float64]:
    """Return the mean of a column at each seed."""
    return np.array([np.mean(of_seed[arm][column]) for of_seed in items.values()], dtype=np.float64)


def _series(items: Mapping[int, Items], name: str, arms: Mapping[int, tuple[str, str]]) -> Series:
    """Return means over seeds with the lowest and the highest seed as band; `arms` are width -> arm and column."""
    found = {d: _over_seeds(items, *at) for d, at in arms.items() if _has(items, at[0])}
    return Series(
        name=name,
        x=list(found),
        y=[values.mean() for values in found.values()],
        low=[values.min() for values in found.values()],
        high=[values.max() for values in found.values()],
    )


def _units(items: Mapping[int, Items]) -> LineChart:
    widths = (2, 8, 20, 50, 200)
    return LineChart(
        title="How many units of the code say anything",
        caption="Units whose mean varies by more than 0.01 over the test pictures; the mean of all seeds.",
        series=[
            _series(items, "VAE", {d: (f"vae-{d}", "active_units") for d in widths}),
            _series(items, "sparse code, alpha 0.01", {d: (f"vsc-{d}", "active_units") for d in (8, 200)}),
        ],
        x_label="width of the code",
        y_label="active units",
        band_name="lowest to highest seed",
    )


def _probes(items: Mapping[int, Items]) -> LineChart:
    pixels = {d: ("probes", "pixels") for d in (8, 200)}
    return LineChart(
        title="What a linear reader with 5,000 labels finds",
        caption="The share of test pictures read as their class; the reader of raw pixels sees no code at all.",
        series=[
            _series(items, "VAE", {d: (f"vae-{d}", "correct") for d in (2, 8, 20, 50, 200)}),
            _series(items, "sparse code, alpha 0.01", {d: (f"vsc-{d}", "correct") for d in (8, 200)}),
            _series(items, "PCA", {d: ("probes", f"pca_{d}") for d in (8, 200)}),
            _series(items, "raw pixels", pixels),
        ],
        x_label="width of the code",
        y_label="share read correctly",
        band_name="lowest to highest seed",
    )


def _contrasts(items: Mapping[int, Items]) -> HeatMap:
    arms = [arm for arm in SMILEY_CODERS if _has(items, arm)]
    factors = [f"{attribute} {factor}" for attribute, names in ATTRIBUTES.items() for factor in names]
    means = [np.mean([of_seed[arm]["contrast"] for of_seed in items.values()], axis=0) for arm in arms]
    return HeatMap(
        title="How clearly one unit stands for each number that drew a smiley",
        caption="Correlation of the best unit with the number, less its correlations with other attributes; mean of all seeds.",
        row_axis="number that was drawn with",
        column_axis="code",
        rows=factors,
        columns=[arm.removeprefix("smiley-") for arm in arms],
        values=np.array(means).T.tolist() if means else [],
    )
