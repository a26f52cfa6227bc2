"""Our own folder: what is saved comes back bit for bit, and what was altered is noticed."""

import json

import pytest
import torch

from glassbook.core.errors import FileFormatError, GlassbookError, ModelError
from glassbook.files.manifest import MANIFEST_NAME, verify_manifest
from glassbook.models.identity import fingerprint
from glassbook.models.loading.opening import open_model
from glassbook.models.loading.own_folder import save_model
from oracles.transformers_pairs import GPT2Shape, LlamaShape, random_gpt2, random_llama

DTYPES = ("float32", "bfloat16", "float16")


@pytest.fixture(params=["llama", "gpt2"])
def folder(request, tmp_path):
    if request.param == "llama":
        return random_llama(LlamaShape(), 0, tmp_path / "hf")[1]
    return random_gpt2(GPT2Shape(tied=False), 0, tmp_path / "hf")[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_saved_model_comes_back_with_the_same_bits_and_identity(dtype, folder, tmp_path):
    model = open_model(folder, dtype)
    save_model(model, tmp_path / "saved")
    again = open_model(tmp_path / "saved", dtype)
    before, after = dict(model.net.named_parameters()), dict(again.net.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.identity == model.identity
    assert again.config == model.config
    assert verify_manifest(tmp_path / "saved") == []


def test_the_fingerprint_recorded_for_each_precision_is_that_of_the_weights_as_loaded(folder, tmp_path):
    save_model(open_model(folder), tmp_path / "saved")
    seen = set()
    for dtype in DTYPES:
        model = open_model(tmp_path / "saved", dtype)
        assert model.identity.fingerprint == fingerprint(model.net.named_parameters())
        assert model.identity == open_model(folder, dtype).identity
        seen.add(model.identity.fingerprint)
    assert len(seen) == len(DTYPES)


def test_all_precisions_share_a_lineage_and_another_model_has_its_own(folder, tmp_path):
    save_model(open_model(folder, "bfloat16"), tmp_path / "saved")
    lineages = {open_model(place, dtype).identity.lineage for place in (folder, tmp_path / "saved") for dtype in DTYPES}
    assert len(lineages) == 1
    _, other = random_llama(LlamaShape(), 1, tmp_path / "other")
    assert open_model(other).identity.lineage not in lineages


def test_a_folder_that_gives_its_name_shares_the_lineage_of_all_that_bear_it(tmp_path):
    places = {}
    for key, name, seed in [
        ("a", "Some/Model-1", 0),
        ("b", "Model-1", 1),
        ("c", "Some/Model-2", 0),
        ("d", "/disk/Model-1", 0),
    ]:
        _, places[key] = random_llama(LlamaShape(n_layers=1), seed, tmp_path / key)
        path = places[key] / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"_name_or_path": name}))
    identities = {key: open_model(place).identity for key, place in places.items()}
    assert identities["a"].name == "Model-1"
    assert identities["a"].lineage == identities["b"].lineage
    assert len({identity.lineage for identity in identities.values()}) == 3


def test_weights_that_were_trained_become_a_model_of_their_own(folder, tmp_path):
    model = open_model(folder)
    with torch.no_grad():
        model.net.embed.weight[0, 0] += 1
    save_model(model, tmp_path / "saved")
    again = open_model(tmp_path / "saved")
    assert again.identity.fingerprint == fingerprint(model.net.named_parameters()) != model.identity.fingerprint
    assert again.identity.lineage != model.identity.lineage


def test_a_number_that_float16_cannot_hold_leaves_no_fingerprint_for_it(folder, tmp_path):
    model = open_model(folder)
    with torch.no_grad():
        model.net.embed.weight[0, 0] = 1e6
    save_model(model, tmp_path / "saved")
    recorded = json.loads((tmp_path / "saved" / "config.json").read_text())["fingerprints"]
    assert recorded.keys() == {"float32", "bfloat16"}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("alter", ["cut", "header", "remove"])
def test_an_altered_folder_is_noticed(name, alter, folder, tmp_path):
    save_model(open_model(folder), tmp_path / "saved")
    open_model(tmp_path / "saved")
    path = tmp_path / "saved" / name
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    if alter == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if alter == "cut" else data)
    with pytest.raises(GlassbookError):
        open_model(tmp_path / "saved")


def test_a_folder_without_its_manifest_was_never_finished(folder, tmp_path):
    save_model(open_model(folder), tmp_path / "saved")
    (tmp_path / "saved" / MANIFEST_NAME).unlink()
    with pytest.raises(FileFormatError, match="never finished"):
        open_model(tmp_path / "saved")


def test_a_save_that_fails_leaves_the_old_folder(folder, tmp_path):
    model = open_model(folder)
    save_model(model, tmp_path / "saved")
    last = max(name for name, _ in model.net.named_parameters())
    with torch.no_grad():
        model.net.get_parameter(last).view(-1)[-1] = torch.nan
    with pytest.raises(ModelError, match=f"'{last}' holds NaN"):
        save_model(model, tmp_path / "saved")
    assert open_model(tmp_path / "saved").identity == model.identity
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
