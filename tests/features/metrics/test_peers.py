"""SAELens's own evaluation says the same of the same dictionaries; tests/oracles/make_evaluation_sae_lens.py asked it."""

import json
from dataclasses import asdict

import pytest

from features.formats.samples import GOLDEN, INPUTS
from glassbook.features import open_dictionary
from glassbook.features.metrics import Tally

SAID = json.loads((GOLDEN.parent / "evaluation_sae_lens.json").read_text())["measured"]
NAMES = {
    "l0": "l0",
    "l1": "l1",
    "explained_variance": "explained_variance",
    "explained_variance_legacy": "explained_variance_by_token",
    "mse": "mse",
    "cossim": "cosine",
    "l2_norm_in": "l2_norm_in",
    "l2_norm_out": "l2_norm_out",
    "l2_ratio": "l2_ratio",
    "relative_reconstruction_bias": "relative_reconstruction_bias",
}


def told(label: str) -> tuple[dict[str, float], list[float]]:
    """Return our numbers under SAELens's names, and the densities."""
    words = open_dictionary(GOLDEN / "saelens" / label)
    tally = Tally(INPUTS.mean(0), words.n_features)
    tally.add(INPUTS, words(INPUTS), words.encode(INPUTS))
    found = asdict(tally.result())
    return {theirs: found[ours] for theirs, ours in NAMES.items()}, tally.densities().tolist()


@pytest.mark.parametrize("label", SAID)
def test_saelens_measures_what_we_measure_and_another_dictionary_is_told_apart(label: str) -> None:
    wanted = dict(SAID[label])
    densities = wanted.pop("feature_density")
    ours, active = told(label)
    assert ours == pytest.approx(wanted, rel=1e-5)
    assert active == pytest.approx(densities, rel=1e-6)
    other = next(name for name in SAID if name != label)
    assert told(other)[0] != pytest.approx(wanted, rel=1e-2)
