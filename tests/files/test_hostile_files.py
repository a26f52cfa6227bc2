"""Thousands of altered files: each is read or refused with FileFormatError, quickly and without memory."""

import json
import os
import random
import struct
import time

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError
from glassbook.files.gguf import open_gguf
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.safetensors import open_safetensors, write_safetensors

N_MUTATIONS = 6000 if os.environ.get("GLASSBOOK_TESTS") == "full" else 1200
NUMBERS = [0, 1, 7, 255, 2**31 - 1, 2**32 - 1, 2**60, 2**63 - 1, 2**63, 2**64 - 1]
HYPOTHESIS = settings(max_examples=60, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def small_safetensors(path):
    write_safetensors(
        path,
        [
            ("embed", "F32", (4, 3), np.arange(12, dtype="<f4")),
            ("norm", "BF16", (3,), bytes(6)),
            ("none", "I64", (0,), b""),
        ],
        {"format": "pt"},
    )


def small_gguf(path):
    metadata = {"general.architecture": "llama", "words": ["a", "b"], "scores": [0.5, 1.5], "n": 3, "yes": True}
    write_gguf(path, metadata, [("embed", "F32", (4, 8), np.zeros(32, "<f4")), ("w", "Q4_1", (2, 32), bytes(40))])


def read_safetensors(path):
    with open_safetensors(path) as file:
        for info in file.tensors.values():
            file.read(info)


def read_gguf(path):
    with open_gguf(path) as file:
        for tensor in file.tensors.values():
            file.dequantize(tensor)


FORMATS = {"safetensors": (small_safetensors, read_safetensors), "gguf": (small_gguf, read_gguf)}


def altered(whole, chance):
    """Return a copy with one to three changes: flipped bits, foreign bytes, huge numbers, cuts, doubled stretches."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data)) if data else 0
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1 and data:
            data[place] = chance.randrange(256)
        elif kind == 2:
            data[place : place + 8] = struct.pack("<Q", chance.choice(NUMBERS))
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            del data[place : place + chance.randint(1, 16)]
        else:
            data[place:place] = data[place : place + chance.randint(1, 64)]
    return bytes(data)


def survives(read, path, data):
    """Return whether `data` was read; a refusal must be FileFormatError that names the file, all within a second."""
    path.write_bytes(data)
    start = time.perf_counter()
    try:
        read(path)
    except FileFormatError as fault:
        assert path.name in str(fault) and "\n" not in str(fault)
        return False
    finally:
        assert time.perf_counter() - start < 1
    return True


@pytest.mark.parametrize("name", FORMATS)
def test_thousands_of_altered_files_are_read_or_refused(tmp_path, name):
    make, read = FORMATS[name]
    path = tmp_path / f"small.{name}"
    make(path)
    whole = path.read_bytes()
    assert survives(read, path, whole)
    chance = random.Random(0)
    before = psutil.Process().memory_info().rss
    outcomes = [survives(read, path, altered(whole, chance)) for _ in range(N_MUTATIONS)]
    assert psutil.Process().memory_info().rss - before < 50e6
    # Both outcomes must be common, else the changes test nothing.
    assert 30 < sum(outcomes) < 0.6 * N_MUTATIONS


@pytest.mark.parametrize("name", FORMATS)
@HYPOTHESIS
@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"GGUF")
def test_any_bytes_are_read_or_refused(tmp_path, name, data):
    make, read = FORMATS[name]
    path = tmp_path / f"small.{name}"
    make(path)
    head = path.read_bytes()[: 24 if name == "gguf" else 8]
    for content in (data, head + data):
        survives(read, path, content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@HYPOTHESIS
@given(header=st.dictionaries(st.text(max_size=3), JSON, max_size=3), data=st.binary(max_size=16))
def test_any_json_header_is_read_or_refused(tmp_path, header, data):
    text = json.dumps(header).encode()
    survives(read_safetensors, tmp_path / "any.safetensors", len(text).to_bytes(8, "little") + text + data)
