"""The GGUF container: equal to the gguf package both ways, and every fault of a header refused."""

import struct
import time
import tracemalloc

import gguf
import numpy as np
import pytest

from glassbook.core.errors import FileFormatError, InputError
from glassbook.files.gguf import open_gguf
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.quants import LAYOUTS

METADATA = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "small": np.uint8(3),
    "below": -5,
    "wide": 2**40,
    "widest": 2**64 - 1,
    "theta": 1.5,
    "exact": np.float64(0.1),
    "yes": True,
    "words": ["a", "", "käse", "\n"],
    "sizes": [1, 2, 3],
    "signed": [-1, 5],
    "mixed": [0.5, 2],
    "flags": [True, False],
    "typed": np.array([1, -2], "<i2"),
    "nothing": [],
}


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def row(name="x", axes=(8,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, kind, offset)


def file_of(path, pairs=(), rows=(), data=b"", counts=None, version=3, magic=b"GGUF"):
    n_rows, n_pairs = counts or (len(rows), len(pairs))
    head = magic + struct.pack("<IQQ", version, n_rows, n_pairs) + b"".join(pairs) + b"".join(rows)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def blocks_of(kind, shape, seed=0):
    layout = LAYOUTS[kind]
    nbytes = int(np.prod(shape)) // layout.weights * layout.nbytes
    return np.random.default_rng(seed).integers(0, 256, nbytes, dtype=np.uint8)


def plain(value):
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def test_the_package_reads_what_we_write(tmp_path):
    path = tmp_path / "ours.gguf"
    shapes = {kind: (3, 512) for kind in LAYOUTS} | {"F32": (2, 3, 5)}
    contents = {kind: blocks_of(kind, shape) for kind, shape in shapes.items()}
    write_gguf(path, METADATA, [(kind, kind, shape, contents[kind]) for kind, shape in shapes.items()])
    theirs = gguf.GGUFReader(path)
    for key, value in METADATA.items():
        assert plain(theirs.fields[key].contents()) == plain(value) or value == []
    for tensor in theirs.tensors:
        assert tuple(reversed(tensor.shape.tolist())) == shapes[tensor.name] and tensor.tensor_type.name == tensor.name
        assert np.asarray(tensor.data).tobytes() == contents[tensor.name].tobytes()


def test_we_read_what_the_package_writes(tmp_path):
    path = tmp_path / "theirs.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 2)
    writer.add_float32("theta", 0.5)
    writer.add_bool("yes", True)
    writer.add_array("words", ["a", "käse", ""])
    writer.add_array("ids", [1, 2, 70_000])
    matrix = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)
    packed = gguf.quantize(matrix, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("plain", matrix)
    writer.add_tensor("packed", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open_gguf(path) as ours:
        assert {key: plain(ours.metadata[key]) for key in ("llama.block_count", "theta", "yes", "words", "ids")} == {
            "llama.block_count": 2, "theta": 0.5, "yes": True, "words": ["a", "käse", ""], "ids": [1, 2, 70_000]
        }  # fmt: skip
        assert np.array_equal(ours.dequantize(ours.tensors["plain"]), matrix)
        expected = gguf.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)
        assert np.array_equal(ours.dequantize(ours.tensors["packed"]), expected)
        assert not np.array_equal(expected, matrix)


def test_what_we_write_we_read_back_with_its_types(tmp_path):
    path = tmp_path / "own.gguf"
    write_gguf(path, METADATA, [("scalar", "F32", (), np.array(2.5, "<f4")), ("none", "F16", (0, 4), b"")])
    with open_gguf(path) as file:
        assert {key: plain(value) for key, value in file.metadata.items()} == {
            key: plain(value) for key, value in METADATA.items()
        }
        assert file.metadata["typed"].dtype == np.int16 and file.metadata["yes"] is True
        assert file.dequantize(file.tensors["scalar"]) == 2.5
        assert file.dequantize(file.tensors["none"]).shape == (0, 4)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_rows_in_pieces_equal_the_whole(tmp_path, kind):
    write_gguf(tmp_path / "rows.gguf", {}, [("x", kind, (2, 5, 256), blocks_of(kind, (2, 5, 256)))])
    with open_gguf(tmp_path / "rows.gguf") as file:
        tensor = file.tensors["x"]
        whole = file.dequantize(tensor)
        assert whole.shape == (2, 5, 256) and tensor.n_rows == 10
        pieces = np.concatenate([file.dequantize(tensor, None, first, min(3, 10 - first)) for first in range(0, 10, 3)])
        assert pieces.tobytes() == whole.tobytes()
        assert file.read_raw(tensor, 4, 2).tobytes() == file.read_raw(tensor)[4:6].tobytes()
        mine = np.zeros((2, 256), np.float32)
        assert file.dequantize(tensor, mine, 8) is mine and mine.tobytes() == whole.reshape(10, 256)[8:].tobytes()
        for first, count in [(-1, 1), (10, 1), (0, 11), (3, -1)]:
            with pytest.raises(InputError, match="rows run from 0 to 9"):
                file.dequantize(tensor, None, first, count)
        for wrong in (np.zeros((2, 255), np.float32), np.zeros((256, 2), np.float32).T):
            with pytest.raises(InputError, match="needs a contiguous float32"):
                file.dequantize(tensor, wrong, 8)


def test_memory_beyond_the_result_is_bounded(tmp_path):
    shape = (4096, 4096)
    write_gguf(tmp_path / "big.gguf", {}, [("x", "Q4_0", shape, blocks_of("Q4_0", shape))])
    out = np.empty(shape, np.float32)
    with open_gguf(tmp_path / "big.gguf") as file:
        tracemalloc.start()
        file.dequantize(file.tensors["x"], out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8e6 < (tmp_path / "big.gguf").stat().st_size


def test_a_vocabulary_parses_well_under_a_third_of_a_second(tmp_path):
    words = [f"Ġword{index}" for index in range(98_052)]
    write_gguf(tmp_path / "words.gguf", {"words": words, "types": np.ones(49_152, "<i4")}, [])
    start = time.perf_counter()
    with open_gguf(tmp_path / "words.gguf") as file:
        assert file.metadata["words"] == words
    assert time.perf_counter() - start < 0.3


def test_version_2_reads_like_version_3(tmp_path):
    with open_gguf(file_of(tmp_path / "two", version=2, rows=[row()], data=bytes(32))) as file:
        assert file.dequantize(file.tensors["x"]).tolist() == [0.0] * 8


HUGE = 2**60
FAULTS = {
    "magic": ({"magic": b"GGJT"}, "no GGUF file"),
    "version 1": ({"version": 1}, "version 1"),
    "version 4": ({"version": 4}, "version 4"),
    "big endian": ({"version": 3 << 24}, "big-endian"),
    "2^60 tensors": ({"counts": (HUGE, 0)}, "claims 1,152"),
    "2^60 entries": ({"counts": (0, HUGE)}, "claims 1,152"),
    "2^64-1 entries": ({"counts": (0, 2**64 - 1)}, "claims 18,446"),
    "entries missing": ({"counts": (0, 9), "pairs": [pair("k", 0, b"1")]}, "claims 9 metadata"),
    "key of 2^60 bytes": ({"pairs": [struct.pack("<Q", HUGE) + bytes(40)]}, "bytes in the key"),
    "text of 2^60 bytes": (
        {"pairs": [pair("k", 8, struct.pack("<Q", HUGE))], "data": bytes(64)},
        "bytes in metadata entry 'k'",
    ),
    "array of 2^60": (
        {"pairs": [pair("k", 9, struct.pack("<IQ", 4, HUGE))], "data": bytes(64)},
        "values in metadata entry 'k'",
    ),
    "2^60 texts": (
        {"pairs": [pair("k", 9, struct.pack("<IQ", 8, HUGE))], "data": bytes(64)},
        "strings in metadata entry 'k'",
    ),
    "a text in an array": (
        {"pairs": [pair("k", 9, struct.pack("<IQQ", 8, 1, HUGE))], "data": bytes(64)},
        "ends inside",
    ),
    "2^60 arrays": (
        {"pairs": [pair("k", 9, struct.pack("<IQ", 9, HUGE))], "data": bytes(64)},
        "arrays in metadata entry 'k'",
    ),
    "arrays in arrays": ({"pairs": [pair("k", 9, struct.pack("<IQ", 9, 1) * 9)], "data": bytes(64)}, "nests"),
    "value type": ({"pairs": [pair("k", 13, bytes(8))]}, "value type 13"),
    "truth value of 2": ({"pairs": [pair("k", 7, b"\x02")]}, "truth value of 2"),
    "no UTF-8": ({"pairs": [pair("k", 8, text(b"\xff"))]}, "UTF-8"),
    "no UTF-8 in an array": ({"pairs": [pair("k", 9, struct.pack("<IQ", 8, 1) + text(b"\xff"))]}, "UTF-8"),
    "key twice": ({"pairs": [pair("k", 0, b"1"), pair("k", 0, b"1")]}, "'k' twice"),
    "alignment 0": ({"pairs": [pair("general.alignment", 4, bytes(4))]}, "alignment is 0"),
    "alignment 12": ({"pairs": [pair("general.alignment", 4, struct.pack("<I", 12))]}, "alignment is 12"),
    "alignment a text": ({"pairs": [pair("general.alignment", 8, text("32"))]}, "alignment is 32"),
    "tensor twice": ({"rows": [row(), row(offset=32)], "data": bytes(64)}, "'x' twice"),
    "five axes": ({"rows": [row(axes=(1,) * 5)], "data": bytes(32)}, "5 axes"),
    "2^32-1 axes": ({"rows": [text("x") + b"\xff" * 4], "data": bytes(32)}, "axes"),
    "product of 2^64": ({"rows": [row(axes=(2**32, 2**32))], "data": bytes(32)}, "more weights"),
    "zero hides 2^64": ({"rows": [row(axes=(0, 2**32, 2**32))], "data": bytes(32)}, "more weights"),
    "2^40 weights": ({"rows": [row(axes=(2**40,))], "data": bytes(32)}, "behind the file's end"),
    "bytes missing": ({"rows": [row()], "data": bytes(31)}, "ends 1 bytes behind"),
    "offset of 2^60": ({"rows": [row(offset=HUGE)], "data": bytes(32)}, "behind the file's end"),
    "offset not aligned": ({"rows": [row(axes=(1,), offset=8)], "data": bytes(32)}, "alignment of 32"),
    "overlap": ({"rows": [row("x", (16,)), row("y", offset=32)], "data": bytes(64)}, "overlaps"),
    "same bytes": ({"rows": [row("x"), row("y")], "data": bytes(64)}, "overlaps"),
    "half a block": ({"rows": [row(axes=(48,), kind=2)], "data": bytes(64)}, "whole number of Q4_0"),
    "a kind we do not read": ({"rows": [row(axes=(256,), kind=10)], "data": bytes(128)}, "stored as Q2_K"),
    "a kind nobody knows": ({"rows": [row(axes=(256,), kind=999)], "data": bytes(128)}, "type number 999"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_header_is_named_with_its_file_and_costs_nothing(tmp_path, fault):
    parts, sentence = FAULTS[fault]
    path = file_of(tmp_path / "faulty.gguf", **parts)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=rf"faulty\.gguf.*({sentence})"):
        open_gguf(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_the_twin_of_every_faulty_file_is_accepted(tmp_path):
    pairs = [pair("general.alignment", 4, struct.pack("<I", 64)), pair("k", 7, b"\x01"), pair("t", 8, text("ä"))]
    pairs.append(pair("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 2) + b"\x01\x02"))
    rows = [row("x", (16,)), row("y", (32, 1, 1, 1), kind=2, offset=64), row("none", (0, 2**40), offset=128)]
    path = file_of(tmp_path / "good.gguf", pairs, rows)
    path.write_bytes(path.read_bytes() + bytes(-path.stat().st_size % 64) + bytes(128))
    with open_gguf(path) as file:
        assert file.metadata["k"] is True and file.metadata["nested"][0].tolist() == [1, 2]
        assert {tensor.shape for tensor in file.tensors.values()} == {(16,), (1, 1, 1, 32), (2**40, 0)}


def test_every_cut_of_a_file_is_refused(tmp_path):
    path = tmp_path / "cut.gguf"
    write_gguf(path, METADATA, [("x", "Q4_1", (2, 32), blocks_of("Q4_1", (2, 32)))])
    whole = path.read_bytes()
    used = len(whole) - (-40 % 32)
    for length in range(used):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match=r"cut\.gguf"):
            open_gguf(path)
    path.write_bytes(whole[:used])
    open_gguf(path).close()


def test_the_writer_refuses_what_gguf_cannot_hold(tmp_path):
    path = tmp_path / "no.gguf"
    for metadata, tensors in [
        ({"k": object()}, []),
        ({"k": 2**64}, []),
        ({"k": np.ones((2, 2))}, []),
        ({"k": ["a", 1]}, []),
        ({"general.alignment": 12}, []),
        ({}, [("x", "Q2_K", (256,), b"")]),
        ({}, [("x", "Q4_0", (33,), b"")]),
        ({}, [("x", "F32", (2,), b"1234")]),
    ]:
        with pytest.raises(InputError):
            write_gguf(path, metadata, tensors)
    assert list(tmp_path.iterdir()) == []
