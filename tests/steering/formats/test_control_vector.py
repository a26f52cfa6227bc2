"""Control vectors come and go by the file exactly, act where llama.cpp and repeng add them, and nothing else passes for one."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import tiny_model, tiny_theirs
from glassbook.core.errors import FileFormatError, GlassbookError, SiteError, VectorError
from glassbook.core.sites import Site
from glassbook.files.gguf_writing import write_gguf
from glassbook.models.wrapped import wrap
from glassbook.steering.formats.control_vector import hint_of, load_control_vector, save_control_vector
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from oracles.seeded_weights import seeded

GOLDEN = Path(__file__).parents[2] / "golden"
TRAINED = GOLDEN / "repeng_sentiment.gguf"
LLAMA, REPENG = (json.loads((GOLDEN / name).read_text()) for name in ("llama_control.json", "repeng.json"))
HEAD = {
    "general.architecture": "controlvector",
    "controlvector.model_hint": "llama",
    "controlvector.layer_count": 1,
}
WIDTH = 32
ROW = np.arange(1, WIDTH + 1, dtype=np.float32)


def made(site: str, seed: int = 0, **changes) -> SteeringVector:
    values = torch.from_numpy(seeded(f"{site}.bias", (WIDTH,), seed))
    return SteeringVector(site=Site.parse(site), values=values, identity=tiny_model().identity, **changes)


def written(path: Path, tensors, **head) -> Path:
    said = {**HEAD, "controlvector.layer_count": len(tensors), **head}
    write_gguf(path, said, [(name, kind, array.shape, array) for name, (kind, array) in tensors.items()])
    return path


def one(path: Path, name: str = "direction.1", array=ROW, kind: str = "F32", **head) -> Path:
    return written(path, {name: (kind, np.ascontiguousarray(array))}, **head)


def test_what_we_write_is_read_back_number_by_number_and_steers_alike(tmp_path):
    model, path = tiny_model(), tmp_path / "v.gguf"
    vectors = VectorSet((made("L1.resid_post") * 3.0, made("L2.resid_post", strength=-0.5)))
    save_control_vector(path, vectors, model)
    back = load_control_vector(path, model)
    assert back.sites == vectors.sites
    for one_back, ours in zip(back, vectors, strict=True):
        assert torch.equal(one_back.values, ours.strength * ours.values)
        assert (one_back.operator, one_back.positions, one_back.strength) == ("add", "all", 1.0)
    logits = [model("The king", steer=steer) for steer in (vectors, back, None)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits[0], logits[2], atol=1e-2)


@settings(max_examples=30)
@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=WIDTH, max_size=WIDTH), st.integers(1, 2))
def test_every_float32_comes_back_with_its_bits(tmp_path_factory, numbers, layer):
    path = tmp_path_factory.mktemp("v") / "v.gguf"
    vector = made(f"L{layer}.resid_post").with_(values=torch.tensor(numbers))
    save_control_vector(path, vector, tiny_model())
    (back,) = load_control_vector(path, tiny_model())
    assert back.site == vector.site and torch.equal(back.values, vector.values)


def test_where_a_block_begins_the_one_below_has_ended_and_one_place_holds_the_sum(tmp_path):
    model, path = tiny_model(), tmp_path / "v.gguf"
    below, above = made("L1.resid_post"), made("L2.resid_pre", seed=1)
    save_control_vector(path, VectorSet((below, 2 * above)), model)
    (back,) = load_control_vector(path, model)
    assert str(back.site) == "L1.resid_post"
    torch.testing.assert_close(back.values, below.values + 2 * above.values)
    logits = [model("The king", steer=steer) for steer in (back, [below, 2 * above], below)]
    torch.testing.assert_close(logits[0], logits[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits[0], logits[2], atol=1e-2)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (made("L1.resid_post", operator="ablate"), "acts by ablate"),
        (made("L1.resid_post", positions="generated"), "at generated"),
        (made("L1.resid_post", positions=(0, 2)), "every token"),
        (made("L1.resid_post", needs_bos=True), "document-start"),
        (made("L1.resid_post").with_(values=torch.ones(3, WIDTH), positions="front"), "at front"),
        (made("L1.mlp_out"), "L1.mlp_out"),
        (made("embed"), "embed"),
        (made("L1.resid_pre"), "below the end of block 1"),
        (made("L0.resid_post"), "below the end of block 1"),
        (made("L0.resid_pre"), "below the end of block 1"),
        (made("L1.resid_post") * 1e39, "too long for float32"),
        (made("L1.resid_post").with_(values=torch.ones(8)), "width 8"),
    ],
)
def test_what_the_format_cannot_say_is_refused_and_nothing_is_written(tmp_path, vector, words):
    with pytest.raises(VectorError, match=words):
        save_control_vector(tmp_path / "v.gguf", vector, tiny_model())
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_the_model_lacks_is_refused(tmp_path):
    with pytest.raises(SiteError, match=r"L3\.resid_post"):
        save_control_vector(tmp_path / "v.gguf", made("L3.resid_post"), tiny_model())


def test_the_hint_is_the_type_that_transformers_gives_the_model(tmp_path):
    assert hint_of(tiny_model("llama")) == "llama" and hint_of(tiny_model("gpt2")) == "gpt2"
    wrapped = wrap(tiny_theirs("gpt2"))
    assert hint_of(wrapped) == "gpt2"
    vector = made("L1.resid_post").with_(identity=wrapped.identity)
    save_control_vector(tmp_path / "v.gguf", vector, wrapped)
    assert load_control_vector(tmp_path / "v.gguf", wrapped)
    with pytest.raises(VectorError, match=r"of the type 'gpt2'.*of the type 'llama'.*--force"):
        load_control_vector(tmp_path / "v.gguf", tiny_model("llama"))


def test_a_wrong_hint_can_be_forced_and_the_vector_remembers_it(tmp_path):
    path = one(tmp_path / "v.gguf", **{"controlvector.model_hint": "phi3"})
    with pytest.raises(VectorError, match="phi3"):
        load_control_vector(path, tiny_model())
    (forced,) = load_control_vector(path, tiny_model(), force=True)
    assert forced.force and forced.made["model_hint"] == "phi3"


def test_weights_that_nobody_recorded_are_held_against_no_model_of_the_same_width(tmp_path, recwarn):
    (vector,) = load_control_vector(one(tmp_path / "v.gguf"), tiny_model())
    assert vector.identity.lineage == "" and vector.identity.label == "a llama model"
    assert tiny_model(seed=2)("The king", steer=vector).isfinite().all()
    assert not recwarn.list
    own = made("L1.resid_post")
    with pytest.raises(VectorError, match="not the same model"):
        tiny_model(seed=2)("The king", steer=own)
    with pytest.raises(VectorError, match="cannot be summed"):
        _ = own + vector


def test_a_file_may_leave_out_hint_and_count(tmp_path):
    write_gguf(tmp_path / "v.gguf", {"general.architecture": "controlvector"}, [("direction.2", "F32", (WIDTH,), ROW)])
    (vector,) = load_control_vector(tmp_path / "v.gguf", tiny_model())
    assert str(vector.site) == "L2.resid_post" and vector.identity.label == "a model"


FAULTS = {
    "another kind of GGUF": (lambda p: one(p, **{"general.architecture": "llama"}), "and no control vector"),
    "no direction": (lambda p: written(p, {}), "no direction at all"),
    "a missing direction": (lambda p: one(p, **{"controlvector.layer_count": 2}), "promises 2 directions and holds 1"),
    "a count that is none": (lambda p: one(p, **{"controlvector.layer_count": "many"}), "promises many"),
    "a hint that is none": (lambda p: one(p, **{"controlvector.model_hint": 7}), "which is no name"),
    "another tensor": (lambda p: one(p, "offset.1"), "'offset.1' is no direction.N"),
    "no number": (lambda p: one(p, "direction.x"), "'direction.x' is no direction.N"),
    "more than a number": (lambda p: one(p, "direction.1.weight"), "is no direction.N"),
    "a number beyond reading": (lambda p: one(p, "direction." + "9" * 5000), "is no direction.N"),
    "two for one block": (
        lambda p: written(p, {"direction.1": ("F32", ROW), "direction.01": ("F32", ROW)}),
        "two directions for block 1",
    ),
    "half precision": (lambda p: one(p, array=ROW.astype(np.float16), kind="F16"), "is F16 of shape 32"),
    "two axes": (lambda p: one(p, array=np.stack([ROW, ROW])), "shape 2 x 32"),
    "NaN": (lambda p: one(p, array=ROW * np.nan), "NaN or infinite"),
    "infinity": (lambda p: one(p, array=ROW * np.inf), "NaN or infinite"),
    "another width": (lambda p: one(p, array=ROW[:16]), "has width 16 .* has width 32"),
    "no width": (lambda p: one(p, array=ROW[:0]), "has width 0"),
    "a deeper model": (lambda p: one(p, "direction.3"), "block 3 .* from 0 to 2"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_file_with_a_fault_is_refused_by_a_sentence_that_names_it(tmp_path, fault):
    write, words = FAULTS[fault]
    with pytest.raises((FileFormatError, VectorError), match=words) as caught:
        load_control_vector(write(tmp_path / "v.gguf"), tiny_model())
    assert "v.gguf" in str(caught.value) and len(str(caught.value)) < 400


def test_control_the_same_file_without_a_fault_is_read(tmp_path):
    assert len(load_control_vector(one(tmp_path / "v.gguf"), tiny_model())) == 1


@settings(max_examples=30)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_bytes_that_were_overwritten_give_a_vector_or_a_sentence(tmp_path_factory, place, junk):
    path = one(tmp_path_factory.mktemp("v") / "v.gguf")
    data = bytearray(path.read_bytes())
    data[place : place + len(junk)] = junk
    path.write_bytes(data)
    try:
        assert load_control_vector(path, tiny_model())
    except GlassbookError as fault:
        assert str(fault)


def test_the_gguf_package_reads_what_we_write(tmp_path):
    vector = made("L2.resid_post")
    save_control_vector(tmp_path / "v.gguf", vector, tiny_model())
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert [tensor.name for tensor in reader.tensors] == ["direction.2"]
    np.testing.assert_array_equal(reader.tensors[0].data, vector.values.numpy())
    assert reader.get_field("controlvector.model_hint").contents() == "llama"
    assert reader.get_field("controlvector.layer_count").contents() == 1


def test_we_refuse_what_llama_cpp_refuses_and_what_it_reads_twice_or_as_no_number():
    assert {name for name, rows in LLAMA["odd"].items() if rows is None} == {
        "direction.0", "no number", "another tensor", "two axes", "float16", "two widths", "no direction",
    }  # fmt: skip
    layers = [index + 1 for index, row in enumerate(LLAMA["odd"]["two directions"]) if any(row)]
    assert layers == [2, 4]
    assert LLAMA["odd"]["one layer by two names"][0][0] == 4.0 and LLAMA["odd"]["NaN"][0][0] is None


# On the default model: what the two programs computed.


@pytest.mark.model
def test_what_repeng_wrote_comes_back_from_us_byte_for_byte(default_model, tmp_path):
    vectors = load_control_vector(TRAINED, default_model)
    assert [vector.site.layer for vector in vectors] == list(range(29, 0, -1))
    save_control_vector(tmp_path / "v.gguf", vectors, default_model)
    assert (tmp_path / "v.gguf").read_bytes() == TRAINED.read_bytes()
    save_control_vector(tmp_path / "v.gguf", 2 * vectors, default_model)
    assert (tmp_path / "v.gguf").read_bytes() != TRAINED.read_bytes()


def distance(model, ids, golden, steer) -> float:
    """Return how far the logits after the last token lie from a program's, the worst of those that it wrote down."""
    logits = model([ids], steer=steer)[0, -1]
    return float((logits[:: golden["every"]] - torch.tensor(golden["logits"])).abs().max())


def moved_by(vectors: VectorSet, blocks: int, model) -> VectorSet:
    """Return the vectors that many blocks higher, those that would leave the model left out."""
    kept = [vector for vector in vectors if 0 <= vector.site.layer + blocks < model.config.n_layers]
    return VectorSet(tuple(vector.with_(site=Site("resid_post", vector.site.layer + blocks)) for vector in kept))


@pytest.mark.model
@pytest.mark.parametrize("case", range(len(REPENG["cases"])))
def test_direction_n_acts_where_block_n_ends_in_repeng_and_nowhere_else(default_model, case):
    said = REPENG["cases"][case]
    golden = {"every": REPENG["every"], "logits": said["logits"]}
    if not said["layers"]:
        assert distance(default_model, REPENG["ids"], golden, None) < 1e-3
        return
    vectors = load_control_vector(TRAINED, default_model).at(said["layers"]) * said["strength"]
    assert distance(default_model, REPENG["ids"], golden, vectors) < 1e-3
    for blocks in {-1, 1} - ({1} if said["layers"] == [29] else set()):
        assert distance(default_model, REPENG["ids"], golden, moved_by(vectors, blocks, default_model)) > 1.0


@pytest.mark.model
@pytest.mark.parametrize("case", range(len(LLAMA["cases"])))
def test_direction_n_acts_where_block_n_ends_in_llama_cpp_and_nowhere_else(default_model, tmp_path, case):
    said = LLAMA["cases"][case]
    golden = {"every": LLAMA["every"], "logits": said["logits"]}
    if said["file"] is None:
        # Its float32 differs from PyTorch's by this much without any steering.
        assert distance(default_model, LLAMA["ids"], golden, None) < 0.03
        return
    path = GOLDEN / str(said["file"])
    if not path.exists():
        width = default_model.config.d_model
        path = one(tmp_path / "v.gguf", f"direction.{said['file']}", seeded(f"direction.{said['file']}.bias", (width,)))
    vectors = load_control_vector(path, default_model) * said["strength"]
    assert distance(default_model, LLAMA["ids"], golden, vectors) < 0.03
    for blocks in {-1, 1} - ({1} if said["file"] == 29 else set()):
        assert distance(default_model, LLAMA["ids"], golden, moved_by(vectors, blocks, default_model)) > 0.2
