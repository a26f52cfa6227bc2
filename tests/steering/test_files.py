"""A steering vector's file gives the same vector back, and no other file passes for one."""

import pytest
import torch

from conformance.tiny import tiny_model
from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.files.safetensors import write_safetensors
from glassbook.steering.files import load_vector, save_vector, tensor_entries
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
    save_vector(path, whole)
    back = load_vector(path)
    assert isinstance(back, VectorSet) and back.sites == whole.sites
    for one, ours in zip(back, whole, strict=True):
        assert torch.equal(one.values, ours.values) and one.identity == ours.identity
        assert (one.positions, one.strength, dict(one.made)) == (ours.positions, ours.strength, dict(ours.made))
    logits = [model("The king", steer=steer) for steer in (whole, back, whole.at([1]), None)]
    assert torch.equal(logits[0], logits[1]) and not torch.equal(logits[0], logits[3])


def test_a_set_of_one_comes_back_as_a_set_and_a_vector_as_a_vector(vectors, tmp_path):
    for one in (vectors[1], VectorSet((vectors[1],))):
        save_vector(tmp_path / "one.safetensors", one)
        assert type(load_vector(tmp_path / "one.safetensors")) is type(one)


OLD = {
    "format": "glassbook-vector/1",
    "site": '"L1.resid_post"',
    "operator": '"ablate"',
    "positions": "[0, 2]",
    "strength": "-2.5",
    "needs_bos": "true",
    "identity": '{"name":"m","fingerprint":"f","lineage":"l","quantization":"","dtype":"float32","tokenizer":"t"}',
    "made": '{"recipe": "mean-difference", "n_positives": 2}',
}


def test_a_file_of_the_first_release_still_loads(tmp_path):
    path = tmp_path / "old.safetensors"
    write_safetensors(path, tensor_entries({"values": torch.arange(1.0, 5.0)}), OLD)
    vector = load_vector(path)
    assert (str(vector.site), vector.operator, vector.positions) == ("L1.resid_post", "ablate", (0, 2))
    assert (vector.strength, vector.needs_bos, vector.identity.lineage) == (-2.5, True, "l")
    assert vector.values.tolist() == [1, 2, 3, 4] and vector.made["n_positives"] == 2


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("site", '"L1.nowhere"', "no Site is spelled"),
        ("operator", '"explode"', "is damaged"),
        ("positions", "[-1]", "give indices"),
        ("strength", "1e999", "is damaged|cannot be used"),
        ("strength", '"much"', "is damaged"),
        ("identity", "{}", "is damaged"),
        ("made", "[" * 100_000, "is damaged"),
        ("made", "3", "is damaged"),
    ],
)
def test_hostile_facts_are_refused_in_one_sentence_that_names_the_file(tmp_path, key, value, why):
    path = tmp_path / "bad.safetensors"
    write_safetensors(path, tensor_entries({"values": torch.ones(4)}), OLD | {key: value})
    with pytest.raises(FileFormatError, match=why) as refusal:
        load_vector(path)
    assert "bad.safetensors" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_set_with_two_vectors_at_one_site_or_a_zero_that_should_point_is_refused(vectors, tmp_path):
    path = tmp_path / "set.safetensors"
    save_vector(path, VectorSet((vectors[1], vectors[3])))
    assert len(load_vector(path)) == 2
    entries = {"values.0": torch.ones(32), "values.1": torch.ones(32)}
    facts = "{" + ",".join(f'"{key}":{value}' for key, value in OLD.items() if key != "format") + "}"
    said = {"format": "glassbook-vectors/1", "vectors": f"[{facts},{facts}]"}
    write_safetensors(path, tensor_entries(entries), said)
    with pytest.raises(FileFormatError, match=r"holds two at L1\.resid_post"):
        load_vector(path)
    write_safetensors(path, tensor_entries({"values": torch.zeros(4)}), OLD)
    with pytest.raises(FileFormatError, match="is zero and points nowhere, so it cannot ablate"):
        load_vector(path)


def test_a_set_that_lists_other_vectors_than_it_holds_is_refused(vectors, tmp_path):
    path = tmp_path / "set.safetensors"
    values = tensor_entries({"values.0": torch.zeros(32), "values.1": torch.zeros(32)})
    for listed in ("[]", "[{}]", "{}", "[{}, {}]", "nonsense", "[" * 100_000):
        write_safetensors(path, values, {"format": "glassbook-vectors/1", "vectors": listed})
        with pytest.raises(FileFormatError, match="damaged"):
            load_vector(path)
    write_safetensors(path, values, {"format": "glassbook-vectors/1"})
    with pytest.raises(FileFormatError, match="damaged"):
        load_vector(path)
