"""Formats that are only read: Gemma Scope 1 and circuit-tracer's transcoders; and the conventions of SAELens before version 6."""

import json
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from features.formats.samples import GOLDEN, misses
from glassbook.core.errors import FileFormatError, InputError
from glassbook.core.seeds import generator
from glassbook.features import open_dictionary
from glassbook.features.formats import find_format, import_dictionary, list_parts
from glassbook.features.formats.weights import Weights, log_thresholds
from glassbook.files.safetensors import write_safetensors

D, N = 8, 24
X = torch.randn(30, D, generator=generator(1, "reading"))


def numbers(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the numbers of a JumpReLU, under the names that most packages have for them."""
    chance = generator(seed, "numbers")
    drawn = {"W_enc": (D, N), "b_enc": (N,), "W_dec": (N, D), "b_dec": (D,), "threshold": (N,), "W_skip": (D, D)}
    found = {name: torch.randn(shape, generator=chance) for name, shape in drawn.items()}
    return found | {"threshold": found["threshold"].abs() + 0.5}


def jumped(held: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return what a JumpReLU makes of X, by its equation."""
    pre = X @ held["W_enc"] + held["b_enc"]
    return (pre * (pre > held["threshold"])) @ held["W_dec"] + held["b_dec"]


def saved(path, tensors, **more):
    """Write tensors as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(
        path, [(name, "F32", tuple(value.shape), value.contiguous().numpy()) for name, value in tensors.items()]
    )
    return path


def gemma_scope(folder, held, compressed=False):
    """Write a params.npz."""
    folder.mkdir(parents=True)
    kept = {name: value.numpy() for name, value in held.items() if name != "W_skip"}
    (np.savez_compressed if compressed else np.savez)(folder / "params.npz", **kept)
    return folder


@pytest.mark.parametrize("compressed", [False, True])
def test_gemma_scope_is_read_with_its_site_from_the_folders_names(tmp_path, compressed):
    held = numbers()
    folder = gemma_scope(tmp_path / "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71", held, compressed)
    for path in (folder, folder / "params.npz"):
        assert find_format(path) == "gemma_scope"
        found = open_dictionary(path)
        assert found.kind == "jumprelu" and misses(found(X), jumped(held)) < 1e-6
        assert found.facts["site"] == "L20.resid_post" and found.facts["weights"]["name"] == "gemma-2-2b"


def test_gemma_scope_in_any_other_folder_is_read_and_says_that_nobody_said_where(tmp_path):
    found = import_dictionary(gemma_scope(tmp_path / "anywhere", numbers()))
    assert "site" not in found.dictionary.facts and any("name it where it is spliced" in one for one in found.remarks)


def test_gemma_scope_transcoders_and_embeddings_keep_their_conventions(tmp_path):
    held = numbers()
    transcoder = open_dictionary(
        gemma_scope(tmp_path / "gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_5", held)
    )
    assert transcoder.kind == "transcoder" and transcoder.facts["site_out"] == "L3.mlp_out"
    assert misses(transcoder(X), jumped(held)) < 1e-6
    embedding = open_dictionary(gemma_scope(tmp_path / "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", held))
    scaled = held | {"W_enc": held["W_enc"] / D**0.5, "W_dec": held["W_dec"] * D**0.5}
    assert misses(embedding(X), jumped(scaled)) < 1e-6 < misses(embedding(X), jumped(held))
    assert embedding.facts["site"] == "embed"


def test_an_npz_that_claims_more_than_it_holds_or_holds_objects_is_refused(tmp_path):
    objects = numbers() | {"W_enc": torch.zeros(1)}
    folder = gemma_scope(tmp_path / "objects", objects)
    kept = {name: value.numpy() for name, value in objects.items()}
    np.savez(folder / "params.npz", **(kept | {"W_enc": np.array([{"a": 1}], dtype=object)}))
    with pytest.raises(FileFormatError, match="lacks 'W_enc'"):
        import_dictionary(folder)
    bomb = gemma_scope(tmp_path / "bomb", numbers())
    np.savez_compressed(bomb / "params.npz", W_enc=np.zeros((3000, 3000), np.float32))
    with pytest.raises(FileFormatError, match=r"claim 36,000,\d+ bytes"):
        import_dictionary(bomb)


def circuit_layer(folder, layer, held, config="", **left):
    """Write one layer of a set of transcoders, and its config."""
    kept = {name: value for name, value in held.items() if name != "threshold"} | {"W_enc": held["W_enc"].T}
    saved(folder / f"layer_{layer}.safetensors", kept | left)
    said = 'model_kind: transcoder_set\nmodel_name: "meta/a-model"\nfeature_input_hook: hook_resid_mid\n'
    (folder / "config.yaml").write_text(said + "feature_output_hook: hook_mlp_out\ntranscoders:\n  - nested\n" + config)
    return folder


def test_circuit_tracers_transcoders_of_every_activation_are_read_with_their_skip(tmp_path):
    held = numbers()
    skip = X @ held["W_skip"].T
    pre = X @ held["W_enc"] + held["b_enc"]
    relu = open_dictionary(circuit_layer(tmp_path / "relu", 2, held) / "layer_2.safetensors")
    assert relu.kind == "skip-transcoder"
    assert misses(relu(X), F.relu(pre) @ held["W_dec"] + held["b_dec"] + skip) < 1e-6
    assert (relu.facts["site"], relu.facts["site_out"]) == ("L2.resid_mid", "L2.mlp_out")
    assert relu.facts["weights"]["name"] == "meta/a-model"
    threshold = {"activation_function.threshold": held["threshold"]}
    jump = open_dictionary(circuit_layer(tmp_path / "jump", 0, held, **threshold))
    assert misses(jump(X), jumped(held) + skip) < 1e-6
    top = import_dictionary(circuit_layer(tmp_path / "top", 0, held, "activation: topk\nk: 3\n"))
    kept = pre.topk(3)
    wanted = torch.zeros_like(pre).scatter(-1, kept.indices, kept.values) @ held["W_dec"] + held["b_dec"] + skip
    assert bool((kept.values > 0).all()) and misses(top.dictionary(X), wanted) < 1e-6
    assert any("negative ones" in remark for remark in top.remarks)


def test_a_set_of_transcoders_has_its_layers_in_order_and_is_no_one_dictionary(tmp_path):
    for layer in (10, 2, 0):
        circuit_layer(tmp_path, layer, numbers(layer))
    assert [one.name for one in list_parts(tmp_path)] == [f"layer_{layer}.safetensors" for layer in (0, 2, 10)]
    with pytest.raises(InputError, match=r"3 transcoders.*such as layer_0\.safetensors"):
        open_dictionary(tmp_path)


def test_transcoders_across_layers_and_negative_thresholds_are_refused_with_the_reason(tmp_path):
    saved(tmp_path / "across" / "W_enc_0.safetensors", {"W_enc_0": torch.zeros(2, 2)})
    (tmp_path / "across" / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    with pytest.raises(FileFormatError, match="across layers"):
        import_dictionary(tmp_path / "across")
    negative = {"activation_function.threshold": -numbers()["threshold"]}
    with pytest.raises(FileFormatError, match="thresholds below 0"):
        import_dictionary(circuit_layer(tmp_path / "negative", 0, numbers(), **negative))


def saelens(folder, config, held):
    """Write a SAELens folder by hand."""
    saved(folder / "sae_weights.safetensors", held)
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def test_a_config_of_saelens_before_version_6_is_read_by_its_older_names(tmp_path):
    held = {name: value for name, value in numbers().items() if name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    old = {
        "d_in": D,
        "d_sae": N,
        "hook_point": "blocks.4.attn.hook_z",
        "hook_point_head_index": 2,
        "normalize_activations": False,
    }
    old |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "model_name": "gpt2"}
    found = open_dictionary(saelens(tmp_path / "old", old, held | {"scaling_factor": torch.ones(N)}))
    assert found.kind == "topk" and found.settings == {"k": 5} and found.facts["site"] == "L4.H2.z"
    pre = (X - held["b_dec"]) @ held["W_enc"] + held["b_enc"]
    kept = pre.topk(5)
    wanted = torch.zeros_like(pre).scatter(-1, kept.indices, kept.values.relu()) @ held["W_dec"] + held["b_dec"]
    assert misses(found(X), wanted) < 1e-6


def test_older_thresholds_that_were_kept_as_logarithms_are_read(tmp_path):
    held = numbers()
    kept = {name: value for name, value in held.items() if name not in ("threshold", "W_skip")}
    config = {"architecture": "jumprelu", "d_in": D, "d_sae": N, "apply_b_dec_to_input": False}
    folder = saelens(tmp_path / "log", config, kept | {"log_threshold": held["threshold"].log()})
    assert misses(open_dictionary(folder)(X), jumped(held)) < 1e-6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "temporal"}, "architecture 'temporal'.*no kind"),
        ({"normalize_activations": "layer_norm"}, "normalizes every input by itself"),
        ({"activation_fn": "tanh-relu"}, "'activation_fn' is tanh-relu"),
        ({"d_in": 0}, "'d_in' is 0"),
        ({"d_sae": None}, "'d_sae' is None"),
    ],
)
def test_what_saelens_can_say_and_a_dictionary_here_cannot_is_refused_by_name(tmp_path, change, said):
    config = json.loads((GOLDEN / "saelens" / "standard" / "cfg.json").read_text()) | change
    held = {name: value for name, value in numbers().items() if name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    with pytest.raises(FileFormatError, match=said):
        import_dictionary(saelens(tmp_path / "folder", config, held))


def test_what_is_not_understood_is_named_and_kept_in_the_facts(tmp_path):
    config = json.loads((GOLDEN / "saelens" / "standard" / "cfg.json").read_text()) | {"invention": [1, 2]}
    held = {name: value for name, value in numbers().items() if name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    found = import_dictionary(saelens(tmp_path / "folder", config, held | {"W_future": torch.zeros(3)}))
    assert any("left unread" in remark and "W_future" in remark for remark in found.remarks)
    assert found.dictionary.facts["imported"]["config"]["invention"] == [1, 2]


def test_files_of_two_formats_are_told_apart_and_a_folder_of_none_lists_what_would_be_known(tmp_path):
    names = {
        name: find_format(GOLDEN / name / next((GOLDEN / name).iterdir()).name) for name in ("saelens", "sparsify")
    }
    assert all(name == found for name, found in names.items())
    assert find_format(tmp_path) is None
    with pytest.raises(InputError, match=re.escape("sparsify: cfg.json and sae.safetensors")):
        import_dictionary(tmp_path)


def test_a_threshold_comes_back_from_its_logarithm_within_what_float32_can_say():
    wanted = torch.cat([torch.logspace(-6, 3, 4000), torch.zeros(1), -torch.ones(1)])
    found = log_thresholds(wanted).exp()
    misses_by = ((found - wanted) / wanted).abs()[:-2]
    assert misses_by.max() < 1e-6
    assert 0 < found[-2] < 2e-38 and found[-1] == found[-2]
    # What was a logarithm in float32 before is exactly the same threshold again.
    assert torch.equal(log_thresholds(found[:-2]).exp(), found[:-2])


def test_centering_a_dictionary_and_taking_it_back_moves_nothing_beyond_rounding():
    chance = generator(3, "centered")
    made = (torch.randn(N, D, generator=chance), torch.randn(N, generator=chance), torch.randn(N, D, generator=chance))
    weights = Weights(*made, torch.randn(D, generator=chance) * 10)
    there = weights.centered()
    assert misses(there.uncentered().b_enc, weights.b_enc.double()) < 1e-12
    assert misses(there.b_enc, weights.b_enc.double()) > 1
