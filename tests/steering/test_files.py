"""A steering vector's file gives the same vector back, and no other file passes for one."""

import pytest
import torch

from conformance.tiny import tiny_model
from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.files.safetensors import write_safetensors
from glassbook.steering.files import load_vector, save_vector, tensor_entries
from glassbook.steering.recipes import actadd, mean_difference


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
