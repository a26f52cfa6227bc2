"""The safetensors container: equal to the library both ways, and every fault of a header refused."""

import json
import tracemalloc

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.safetensors import STORED_AS, open_safetensors, write_safetensors

NUMPY_NAMES = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
               "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}  # fmt: skip
ARRAYS = st.sampled_from(sorted(NUMPY_NAMES)).flatmap(
    lambda name: st.tuples(
        st.just(name), hnp.arrays(NUMPY_NAMES[name], hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
    )
)
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"), ARRAYS, max_size=5
)
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def file_of(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), span=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)}


def same(first, second):
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@SAME_FOLDER
@given(tensors=TENSORS, metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_the_library_reads_what_we_write(tmp_path, tensors, metadata):
    path = tmp_path / "ours.safetensors"
    write_safetensors(path, [(name, dtype, array.shape, array) for name, (dtype, array) in tensors.items()], metadata)
    loaded = safetensors.numpy.load_file(path)
    assert loaded.keys() == tensors.keys()
    assert all(same(loaded[name], array) for name, (_, array) in tensors.items())
    with safetensors.safe_open(path, "numpy") as theirs:
        assert (theirs.metadata() or {}) == metadata


@SAME_FOLDER
@given(tensors=TENSORS, metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_we_read_what_the_library_writes(tmp_path, tensors, metadata):
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file({name: array for name, (_, array) in tensors.items()}, path, metadata or None)
    with open_safetensors(path) as ours:
        assert ours.metadata == metadata and ours.tensors.keys() == tensors.keys()
        for name, (dtype, array) in tensors.items():
            assert ours.tensors[name].dtype == dtype and same(ours.read(ours.tensors[name]), array)


def test_bf16_and_f8_come_as_unsigned_bits(tmp_path):
    path = tmp_path / "bits.safetensors"
    entries = [
        ("b", "BF16", (2,), b"\x80\x3f\x00\xc0"),
        ("e", "F8_E4M3", (3,), b"\x01\x02\xff"),
        ("f", "F8_E5M2", (1,), b"\x07"),
    ]
    write_safetensors(path, entries)
    with open_safetensors(path) as file:
        assert file.read(file.tensors["b"]).tolist() == [0x3F80, 0xC000]
        assert file.read(file.tensors["e"]).tolist() == [1, 2, 255]
        assert file.read(file.tensors["f"]).dtype == np.uint8


def test_order_is_kept_and_the_data_begins_aligned(tmp_path):
    path = tmp_path / "order.safetensors"
    names = ["z", "a", "m"]
    write_safetensors(path, [(name, "F32", (4,), np.full(4, index, "<f4")) for index, name in enumerate(names)])
    with open_safetensors(path) as file:
        assert list(file.tensors) == names
        assert [file.tensors[name].start for name in names] == [0, 16, 32]
    assert (8 + int.from_bytes(path.read_bytes()[:8], "little")) % 64 == 0


def test_a_span_of_a_tensor_lands_in_the_callers_memory(tmp_path):
    path = tmp_path / "span.safetensors"
    array = np.arange(100, dtype="<f4")
    write_safetensors(path, [("pad", "U8", (3,), b"abc"), ("x", "F32", (100,), array)])
    mine = np.zeros(12, "<f4")
    with open_safetensors(path) as file:
        file.read_into(file.tensors["x"], mine[1:11].data, offset=40, nbytes=40)
        assert mine.tolist() == [0, *range(10, 20), 0]
        for offset, nbytes in [(-4, 40), (364, 40), (0, 44), (0, None)]:
            with pytest.raises(InputError, match="tensor 'x'"):
                file.read_into(file.tensors["x"], mine[1:11].data, offset, nbytes)


def test_lazy_contents_keep_one_tensor_in_memory(tmp_path):
    def chunks():
        for _ in range(4):
            yield np.ones(1 << 18, "<f4")

    tracemalloc.start()
    write_safetensors(tmp_path / "big.safetensors", [(f"t{index}", "F32", (1 << 20,), chunks()) for index in range(6)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "big.safetensors").stat().st_size > 25e6 and peak < 5e6


@pytest.mark.parametrize("content", [b"1234567", b"123456789", [b"1234", b"12345"], []])
def test_a_content_of_the_wrong_size_is_refused_and_the_old_file_kept(tmp_path, content):
    path = tmp_path / "old.safetensors"
    write_safetensors(path, [("x", "F32", (2,), [b"1234", b"5678"])])
    before = path.read_bytes()
    with pytest.raises(InputError, match="tensor 'x'"):
        write_safetensors(path, [("x", "F32", (2,), content)])
    assert path.read_bytes() == before and [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_name_given_twice_and_an_unknown_dtype_are_not_written(tmp_path):
    for entries in ([("x", "U8", (1,), b"1"), ("x", "U8", (1,), b"2")], [("x", "F128", (1,), b"1")]):
        with pytest.raises(InputError, match="'x'"):
            write_safetensors(tmp_path / "no.safetensors", entries)
    write_safetensors(tmp_path / "yes.safetensors", [("x", "U8", (1,), b"1"), ("y", "U8", (1,), b"2")])


GOOD = {"x": entry()}
FAULTS = {
    "dtype unknown": ({"x": entry(dtype="F33")}, b"12345678", "dtype F33"),
    "dtype no text": ({"x": entry(dtype=["F32"])}, b"12345678", "dtype"),
    "negative size": ({"x": entry(shape=(-2,))}, b"12345678", "shape"),
    "size no integer": ({"x": entry(shape=(2.0,))}, b"12345678", "shape"),
    "size a truth value": ({"x": entry(shape=(True, 2))}, b"12345678", "shape"),
    "product of 2^64": ({"x": entry(shape=(2**32, 2**32))}, b"12345678", "needs"),
    "product wraps to 8": ({"x": entry(shape=(2**31, 2**31 + 2))}, b"12345678", "needs"),
    "axes without end": ({"x": entry(shape=(1,) * 65)}, b"1234", "shape"),
    "span too short": ({"x": entry(span=(0, 4))}, b"12345678", "needs 8 bytes"),
    "span backwards": ({"x": entry(span=(8, 0))}, b"12345678", "data_offsets"),
    "span of three": ({"x": entry(span=(0, 8, 8))}, b"12345678", "data_offsets"),
    "span negative": ({"x": entry(span=(-8, 0))}, b"12345678", "data_offsets"),
    "span beyond": ({"x": entry(span=(8, 16))}, b"12345678", "hole"),
    "span of 2^60": ({"x": entry(shape=(2**58,), span=(0, 2**60))}, b"12345678", "holds 8"),
    "overlap": ({"x": entry(), "y": entry(span=(4, 12))}, b"123456789012", "overlaps"),
    "same bytes": ({"x": entry(), "y": entry()}, b"12345678", "overlaps"),
    "hole": ({"x": entry(), "y": entry(span=(12, 20))}, bytes(20), "hole"),
    "bytes left over": (GOOD, b"123456789", "holds 9"),
    "bytes missing": (GOOD, b"1234567", "holds 7"),
    "field missing": ({"x": {"dtype": "F32", "shape": [2]}}, b"12345678", "entry of tensor"),
    "field too many": ({"x": {**entry(), "more": 1}}, b"12345678", "entry of tensor"),
    "entry no object": ({"x": 3}, b"", "entry of tensor"),
    "metadata of numbers": ({"__metadata__": {"a": 1}, "x": entry()}, b"12345678", "__metadata__"),
    "metadata no object": ({"__metadata__": [], "x": entry()}, b"12345678", "__metadata__"),
    "a list": (b"[]", b"", "begin"),
    "no JSON": (b"{nonsense}", b"", "JSON"),
    "no UTF-8": (b'{"\xff": 1}', b"", "JSON"),
    "NaN": (b'{"x": NaN}', b"", "JSON"),
    "nested without end": (b'{"x":' + b"[" * 200_000, b"", "JSON"),
    "number without end": (b'{"x":' + b"9" * 10_000 + b"}", b"", "JSON"),
    "name twice": (
        b'{"x":' + json.dumps(entry()).encode() + b',"x":' + json.dumps(entry()).encode() + b"}",
        b"12345678",
        "twice",
    ),
    "key twice": (b'{"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"12345678", "twice"),
}


def test_the_twin_of_every_faulty_file_is_accepted(tmp_path):
    with open_safetensors(file_of(tmp_path / "good", GOOD, b"12345678")) as file:
        assert file.read(file.tensors["x"]).tobytes() == b"12345678"
    two = {
        "__metadata__": {"a": "1"},
        "y": entry(span=(8, 16)),
        "x": entry(),
        "none": entry(shape=(0, 2**40), span=(16, 16)),
    }
    with open_safetensors(file_of(tmp_path / "two", two, bytes(16))) as file:
        assert len(file.tensors) == 3 and file.metadata == {"a": "1"}
    with open_safetensors(file_of(tmp_path / "none", b"{}")) as file:
        assert file.tensors == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_header_is_named_with_its_file(tmp_path, fault):
    header, data, sentence = FAULTS[fault]
    with pytest.raises(FileFormatError, match=rf"faulty\.safetensors.*{sentence}"):
        open_safetensors(file_of(tmp_path / "faulty.safetensors", header, data))


@pytest.mark.parametrize("length", [0, 1, 17, 1000, 100_000_001, 2**60, 2**64 - 1])
def test_a_false_header_length_costs_nothing(tmp_path, length):
    path = file_of(tmp_path / "faulty.safetensors", b"{}" + b" " * 8, length=length)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"faulty\.safetensors"):
        open_safetensors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_a_file_cut_short_after_opening_is_told(tmp_path):
    path = file_of(tmp_path / "cut.safetensors", GOOD, b"12345678")
    with open_safetensors(path) as file:
        with open(path, "r+b") as other:
            other.truncate(path.stat().st_size - 4)
        with pytest.raises(FileFormatError, match="ends at byte"):
            file.read(file.tensors["x"])


def test_what_is_no_file_is_told_in_words(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(FileFormatError, match="check the path"):
            open_safetensors(path)
    assert set(NUMPY_NAMES) < set(STORED_AS)
