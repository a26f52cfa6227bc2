"""A steering vector's file gives the same vector back, and no other file passes for one."""

import pytest
import torch

from conformance.tiny import tiny_model
from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.files.safetensors import write_safetensors
from glassbook.steering.files import load_vector, load_vectors, save_vector, save_vectors, tensor_entries
from glassbook.steering.recipes import actadd, mean_difference
from glassbook.steering.vector_set import VectorSet


@pytest.fixture(scope="module")
def vectors():
    model = tiny_model()
    flat = mean_difference(model, ["good", "kind"], ["bad", "mean"], "L1.resid_post")
    return [
        3.0 * actadd(model, "Love", "Hate", "L1.resid_pre"),
        flat,
        -2.5 * flat.with_(positions=(0, 2), operator="ablate", needs_bos=True),
        mean_difference(model, ["good"], ["bad"], "L1.H2.z"),
    ]


def test_a_vector_comes_back_with_every_number_and_every_fact(vectors, tmp_path):
    for vector in vectors:
        save_vector(tmp_path / "v.safetensors", vector)
        back = load_vector(tmp_path / "v.safetensors")
        assert torch.equal(back.values, vector.values)
        for name in ("site", "identity", "operator", "positions", "strength", "needs_bos"):
            assert getattr(back, name) == getattr(vector, name)
        assert dict(back.made) == dict(vector.made)


def test_it_steers_as_the_one_that_was_saved(vectors, tmp_path):
    model = tiny_model()
    save_vector(tmp_path / "v.safetensors", vectors[0])
    logits = [model("The king", steer=one) for one in (vectors[0], load_vector(tmp_path / "v.safetensors"), None)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


def test_a_file_of_other_tensors_or_with_damaged_facts_is_refused(vectors, tmp_path):
    path = tmp_path / "v.safetensors"
    write_safetensors(path, tensor_entries({"values": torch.zeros(32)}), {"format": "glassbook-capture/1"})
    with pytest.raises(FileFormatError, match="holds no steering vector"):
        load_vector(path)
    write_safetensors(
        path, tensor_entries({"values": torch.zeros(32)}), {"format": "glassbook-vector/1", "site": '"L1.resid_pre"'}
    )
    with pytest.raises(FileFormatError, match="is damaged"):
        load_vector(path)


def test_a_vector_of_no_numbers_is_refused(vectors, tmp_path):
    path = tmp_path / "v.safetensors"
    save_vector(path, vectors[1])
    assert load_vector(path)
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)
    with pytest.raises(GlassbookError, match="NaN"):
        load_vector(path)


def test_a_set_comes_back_whole_in_its_order_and_steers_as_it_did(vectors, tmp_path):
    path, model = tmp_path / "set.safetensors", tiny_model()
    whole = VectorSet((vectors[1], vectors[0], vectors[3]))
    save_vectors(path, whole)
    back = load_vectors(path)
    assert isinstance(back, VectorSet) and back.sites == whole.sites
    for one, ours in zip(back, whole, strict=True):
        assert torch.equal(one.values, ours.values) and one.identity == ours.identity
        assert (one.positions, one.strength, dict(one.made)) == (ours.positions, ours.strength, dict(ours.made))
    logits = [model("The king", steer=steer) for steer in (whole, back, whole.at([1]), None)]
    assert torch.equal(logits[0], logits[1]) and not torch.equal(logits[0], logits[3])


def test_one_vector_is_read_from_either_kind_of_call_and_a_set_is_no_vector(vectors, tmp_path):
    save_vectors(tmp_path / "one.safetensors", vectors[1])
    assert torch.equal(load_vectors(tmp_path / "one.safetensors").values, vectors[1].values)
    assert torch.equal(load_vector(tmp_path / "one.safetensors").values, vectors[1].values)
    save_vectors(tmp_path / "set.safetensors", VectorSet((vectors[1],)))
    with pytest.raises(FileFormatError, match="holds no steering vector"):
        load_vector(tmp_path / "set.safetensors")


def test_a_set_that_lists_other_vectors_than_it_holds_is_refused(vectors, tmp_path):
    path = tmp_path / "set.safetensors"
    values = tensor_entries({"values.0": torch.zeros(32), "values.1": torch.zeros(32)})
    for listed in ("[]", "[{}]", "{}", "[{}, {}]", "nonsense", "[" * 100_000):
        write_safetensors(path, values, {"format": "glassbook-vectors/1", "vectors": listed})
        with pytest.raises(FileFormatError, match="damaged"):
            load_vectors(path)
    write_safetensors(path, values, {"format": "glassbook-vectors/1"})
    with pytest.raises(FileFormatError, match="damaged"):
        load_vectors(path)
