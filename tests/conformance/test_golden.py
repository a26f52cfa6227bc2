"""Our values and gradients against numbers that TransformerLens wrote down; see `oracles/make_site_golden.py`."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.shapes import GOLDENS, ROWS, config_of
from conformance.tiny import as_model, our_net
from glassbook.activations.cache import ActivationCache
from glassbook.activations.capture import capture
from glassbook.core.sites import KINDS, Site
from oracles.seeded_weights import seeded, seeded_loss_weights
from oracles.summaries import summary

GOLDEN = Path(__file__).parents[1] / "golden"
NEAR = 1e-4
# RMS norms in transformers do not let their scale be part of the graph, nor does TransformerLens that of GPT-NeoX's norms.
SCALES_WITH_GRADIENT = {"gpt2"}


def read(name: str) -> dict[str, Any]:
    """Return one golden file."""
    return json.loads((GOLDEN / f"sites_{name}.json").read_text())


@pytest.fixture(scope="module", params=list(GOLDENS))
def pair(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any], ActivationCache]:
    """Return what the file says and what we compute, gradients included."""
    golden = read(request.param)
    weights = {name: torch.from_numpy(seeded(name, tuple(shape))) for name, shape in golden["weights"].items()}
    model = as_model(our_net(*GOLDENS[request.param], weights))
    cache = capture(model, golden["tokens"], [Site.parse(name) for name in golden["sites"]], grad=True)
    logits = cache["logits"]
    (logits * torch.from_numpy(seeded_loss_weights(tuple(logits.shape)))).sum().backward()
    return request.param, golden, cache


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return which numbers differ by more than 1e-4 of their own size, or of the mean size where they are smaller."""
    typical = theirs["abs_sum"] / max(1, theirs["n"])
    bad = [name for name in ("sum", "abs_sum") if abs(ours[name] - theirs[name]) > NEAR * theirs["abs_sum"]]
    for i, (one, other) in enumerate(zip(ours["values"], theirs["values"], strict=True)):
        if abs(one - other) > NEAR * max(abs(other), typical):
            bad.append(f"values[{i}]: {one} instead of {other}")
    return bad


def test_the_shape_in_the_file_is_the_one_in_the_table(pair: tuple[str, dict[str, Any], ActivationCache]) -> None:
    name, golden, _ = pair
    architecture, label = GOLDENS[name]
    asked = ROWS[architecture].their_config(config_of(architecture, label)).to_diff_dict()
    shared = (set(asked) & set(golden["config"])) - {"transformers_version"}
    assert len(shared) > 8
    assert {name: asked[name] for name in shared} == {name: golden["config"][name] for name in shared}


def test_every_site_of_the_architecture_stands_in_the_file(pair: tuple[str, dict[str, Any], ActivationCache]) -> None:
    name, golden, cache = pair
    expected = {
        Site(name, layer) if KINDS[name].per_layer else Site(name)
        for name in cache.model.site_names
        for layer in range(cache.model.config.n_layers)
    }
    assert {Site.parse(name) for name in golden["sites"]} == expected
    silent = {Site.parse(name).name for name, said in golden["sites"].items() if "grad" not in said}
    scales = {site for site in cache.model.site_names if site.endswith("_scale")}
    assert silent == (set() if name in SCALES_WITH_GRADIENT else scales)


def test_values_equal_the_golden_ones_at_every_site(pair: tuple[str, dict[str, Any], ActivationCache]) -> None:
    for name, theirs in pair[1]["sites"].items():
        value = pair[2][name].detach()
        assert list(value.shape) == theirs["shape"], name
        assert not differences(summary(value, None), theirs), f"{name}: {differences(summary(value, None), theirs)}"


def test_gradients_equal_the_golden_ones_at_every_site(pair: tuple[str, dict[str, Any], ActivationCache]) -> None:
    for name, theirs in pair[1]["sites"].items():
        if "grad" in theirs:
            ours = summary(pair[2][name].detach(), pair[2].grad(name))["grad"]
            assert not differences(ours, theirs["grad"]), f"{name}: {differences(ours, theirs['grad'])}"


def test_the_control_numbers_of_another_layer_are_told_apart(pair: tuple[str, dict[str, Any], ActivationCache]) -> None:
    _, golden, cache = pair
    for name, theirs in golden["sites"].items():
        site = Site.parse(name)
        if site.layer == 0:
            other = Site(site.name, 1)
            assert differences(summary(cache[other].detach(), None), theirs), name
            if "grad" in theirs:
                assert differences(summary(cache[other].detach(), cache.grad(other))["grad"], theirs["grad"]), name
