"""What other packages write is read with the outputs they have for it, and what we write they read with ours.

The golden files are made by the packages themselves, see tests/oracles/make_dictionaries_*.py.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from features.formats.samples import GOLDEN, INPUTS, misses
from glassbook.features import open_dictionary
from glassbook.features.formats import export_dictionary, find_format, import_dictionary

FORMATS = ("saelens", "dictionary_learning", "sparsify")
SAID = {name: json.loads((GOLDEN.parent / f"dictionaries_{name}.json").read_text()) for name in FORMATS}
OURS = [(name, label) for name in FORMATS for label in SAID[name]["ours"]]
THEIRS = [(name, label) for name in FORMATS for label in SAID[name]["theirs"]]


def said(name: str, side: str, label: str) -> tuple[Tensor, Tensor]:
    """Return what a package made of the inputs: features and output."""
    found = SAID[name][side][label]
    return torch.tensor(found["features"]), torch.tensor(found["output"])


@pytest.mark.parametrize(("name", "label"), OURS)
def test_a_package_computes_from_what_we_wrote_what_we_compute(name, label):
    ours = import_dictionary(GOLDEN / "ours" / name / label).dictionary
    features, output = said(name, "ours", label)
    assert misses(ours.encode(INPUTS), features) < 1e-6
    assert misses(ours(INPUTS), output) < 1e-6


@pytest.mark.parametrize(("name", "label"), OURS)
def test_what_we_write_today_is_what_the_package_has_read(name, label, tmp_path):
    golden = GOLDEN / "ours" / name / label
    export_dictionary(import_dictionary(golden).dictionary, tmp_path / label, name)
    for file in golden.iterdir():
        if file.suffix == ".safetensors" and name == "saelens":
            assert (tmp_path / label / file.name).read_bytes() == file.read_bytes()
        if file.suffix == ".json":
            now, then = (_without_the_import(folder / file.name) for folder in (tmp_path / label, golden))
            assert now == then
    again = import_dictionary(tmp_path / label).dictionary
    assert misses(again(INPUTS), said(name, "ours", label)[1]) < 1e-6


@pytest.mark.parametrize(("name", "label"), THEIRS)
def test_we_compute_from_what_a_package_wrote_what_it_computes(name, label):
    folder = GOLDEN / name / label
    assert find_format(folder) == name
    theirs = open_dictionary(folder)
    features, output = said(name, "theirs", label)
    assert misses(theirs.encode(INPUTS), features) < 1e-6
    assert misses(theirs(INPUTS), output) < 1e-6


@pytest.mark.parametrize(("name", "label"), THEIRS)
def test_control_another_dictionary_of_the_package_computes_something_else(name, label):
    features, output = said(name, "theirs", label)
    others = [other for where, other in THEIRS if where == name and _drawn(other) != _drawn(label)]
    assert others and features.abs().sum() > 0
    for other in others:
        wrong = said(name, "theirs", other)[1]
        assert wrong.shape != output.shape or misses(wrong, output) > 1e-2


def test_what_a_package_trained_with_batchtopk_and_saved_as_jumprelu_is_batchtopk_again():
    found = {label: open_dictionary(GOLDEN / "saelens" / label) for label in SAID["saelens"]["theirs"]}
    assert found["batchtopk-for-use"].kind == found["batchtopk-training"].kind == "batchtopk"
    nested = found["matryoshka-batchtopk-for-use"]
    assert nested.kind == "matryoshka-batchtopk" and nested.settings["sizes"] == [6, 12, 24]
    assert found["jumprelu"].kind == "jumprelu"


def test_an_import_says_model_and_sites_and_keeps_what_the_config_said():
    transcoder = open_dictionary(GOLDEN / "saelens" / "jumprelu-transcoder")
    assert (transcoder.facts["site"], transcoder.facts["site_out"]) == ("L5.resid_pre", "L5.mlp_out")
    assert transcoder.facts["weights"]["name"] == "gpt2"
    assert transcoder.facts["imported"]["config"]["metadata"]["prepend_bos"] is True
    learned = import_dictionary(GOLDEN / "dictionary_learning" / "topk")
    assert learned.dictionary.facts["site"] == "L7.resid_post"
    assert any("only its layer is said" in remark for remark in learned.remarks)
    sparse = import_dictionary(GOLDEN / "sparsify" / "layers.4.mlp")
    assert "site" not in sparse.dictionary.facts and sparse.dictionary.facts["site_out"] == "L4.mlp_out"


def test_a_scale_that_the_folder_does_not_hold_is_remarked_and_none_is_where_there_is_none():
    remarks = import_dictionary(GOLDEN / "saelens" / "standard-scaled").remarks
    assert any("expected_average_only_in" in remark for remark in remarks)
    assert import_dictionary(GOLDEN / "saelens" / "standard").remarks == ()


def _drawn(label: str) -> str:
    """Return what one drawing of numbers is called, which may be saved in two forms."""
    return label.removesuffix("-for-use").removesuffix("-training")


def _without_the_import(path: Path) -> dict[str, object]:
    """Return a config without what an import added to the facts."""
    config = json.loads(path.read_text())
    kept = config.get("glassbook") or config["metadata"]["glassbook"]
    kept["facts"].pop("imported", None)
    return config
