"""`glassbook capture` writes what the library captures, in a file that the safetensors library reads."""

import json

import pytest
import torch
from safetensors import safe_open

from glassbook.activations.capture import capture
from glassbook.models.loading.opening import open_model

PROMPT = "The king said"
SITES = ["L1.resid_post", "L0-1.pattern", "L2.H3.z", "L1.mlp_post.N7", "embed"]


def flags(sites):
    return [part for site in sites for part in ("--site", site)]


def read(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 (not a dict)


def test_the_file_holds_what_the_library_captures_under_the_sites_names(cli, tiny, tmp_path):
    answer = cli("capture", tiny, PROMPT, *flags(SITES), "--out", tmp_path / "x.safetensors")
    assert answer.status == 0
    held, _ = read(tmp_path / "x.safetensors")
    cache = capture(open_model(tiny), PROMPT, SITES)
    assert held.keys() == {str(site) for site in cache}
    assert all(torch.equal(held[str(site)], value) for site, value in cache.items())


def test_the_file_says_which_prompt_of_which_model_it_came_from(cli, tiny, tmp_path):
    cli("capture", tiny, PROMPT, "--site", "embed", "--position", -1, "--bos", "--out", tmp_path / "x.safetensors")
    _, said = read(tmp_path / "x.safetensors")
    model = open_model(tiny)
    assert said["format"] == "glassbook-capture/1"
    assert json.loads(said["prompt"]) == PROMPT
    assert json.loads(said["model"]) == model.identity.to_dict()
    assert json.loads(said["prompt_tokens"]) == model.read(PROMPT, prepend_bos=True).row(0)
    assert json.loads(said["positions"]) == [-1]


def test_both_spellings_of_a_site_are_one_key(cli, tiny, tmp_path):
    for number, site in enumerate(["L2.resid_pre", "blocks.2.hook_resid_pre"]):
        cli("capture", tiny, PROMPT, "--site", site, "--out", tmp_path / f"{number}.safetensors")
    first, second = (read(tmp_path / f"{number}.safetensors")[0] for number in (0, 1))
    assert list(first) == list(second) == ["L2.resid_pre"]
    assert torch.equal(first["L2.resid_pre"], second["L2.resid_pre"])


def test_positions_precision_and_the_last_layer_are_those_asked_for(cli, tiny, tmp_path):
    ask = ["capture", tiny, PROMPT, "--site", "L*.resid_pre", "--out", tmp_path / "x.safetensors", "--json"]
    said = cli(*ask, "--position", 0, "--position", -1, "--values-dtype", "bfloat16", "--stop-at-layer", 2).json()
    assert [one["site"] for one in said["values"]] == ["L0.resid_pre", "L1.resid_pre"]
    assert all(one["shape"] == [1, 2, 32] and one["dtype"] == "bfloat16" for one in said["values"])
    whole = capture(open_model(tiny), PROMPT, "L1.resid_pre")["L1.resid_pre"]
    held, _ = read(tmp_path / "x.safetensors")
    assert torch.equal(held["L1.resid_pre"], whole[:, [0, -1]].bfloat16())


def test_json_and_the_table_tell_shapes_and_norms(cli, tiny, tmp_path):
    ask = ["capture", tiny, PROMPT, *flags(SITES), "--out", tmp_path / "x.safetensors", "--overwrite"]
    said, lines = cli(*ask, "--json").json(), cli(*ask).out.splitlines()
    held, _ = read(tmp_path / "x.safetensors")
    for one, line in zip(said["values"], lines[1:-1], strict=True):
        value = held[one["site"]]
        assert one["shape"] == list(value.shape)
        assert one["mean_norm"] == pytest.approx(value.norm(dim=-1).mean().item())
        assert line.split() == [one["site"], *line.split()[1:-2], "float32", f"{one['mean_norm']:.4g}"]
    axes = {one["site"]: one["axes"] for one in said["values"]}
    assert axes["L2.H3.z"] == ["batch", "pos", "d_head"]
    assert axes["L1.mlp_post.N7"] == ["batch", "pos"]
    assert axes["L0.pattern"] == ["batch", "n_heads", "query", "key"]


def test_scores_that_are_masked_with_infinity_are_still_json(cli, tiny, tmp_path):
    said = cli(
        "capture", tiny, PROMPT, "--site", "L0.attn_scores", "--out", tmp_path / "x.safetensors", "--json"
    ).json()
    assert said["values"][0]["mean_norm"] == "Infinity"


def test_a_file_that_is_there_is_only_replaced_when_that_is_said(cli, tiny, tmp_path):
    out = tmp_path / "x.safetensors"
    out.write_bytes(b"precious")
    ask = ["capture", tiny, PROMPT, "--site", "embed", "--out", out]
    answer = cli(*ask)
    assert answer.is_one_sentence() and "--overwrite" in answer.err
    assert out.read_bytes() == b"precious"
    assert cli(*ask, "--overwrite").status == 0
    assert list(read(out)[0]) == ["embed"]
