"""Arrays come back as they were written, the same arrays make the same bytes, and what is no such file is refused."""

import time

import numpy as np
import pytest

from glassbook.core.errors import FileFormatError
from glassbook.files.arrays import read_arrays, write_arrays

ARRAYS = {"loss": np.array([1.5, 0.25], dtype=np.float32), "count": np.arange(3), "none": np.zeros(0)}


def test_arrays_come_back_with_their_names_their_numbers_and_their_types(tmp_path):
    write_arrays(tmp_path / "a.npz", ARRAYS)
    found = read_arrays(tmp_path / "a.npz")
    assert set(found) == set(ARRAYS)
    assert all(np.array_equal(found[name], ARRAYS[name]) and found[name].dtype == ARRAYS[name].dtype for name in found)


def test_the_same_arrays_make_the_same_bytes_whenever_and_in_whatever_order_and_others_do_not(tmp_path, monkeypatch):
    write_arrays(tmp_path / "a.npz", ARRAYS)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    write_arrays(tmp_path / "b.npz", dict(reversed(ARRAYS.items())))
    write_arrays(tmp_path / "c.npz", ARRAYS | {"count": np.arange(4)})
    first, again, other = ((tmp_path / f"{name}.npz").read_bytes() for name in "abc")
    assert first == again != other


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match=r"b\.npz"):
        read_arrays(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-30], lambda data: b"\x93NUMPY", lambda data: b"", lambda data: None]
)
def test_a_file_that_is_cut_short_foreign_empty_or_missing_is_refused_by_name(tmp_path, spoil):
    path = tmp_path / "a.npz"
    write_arrays(path, ARRAYS)
    data = spoil(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        read_arrays(path)


@pytest.mark.parametrize("place", range(60, 400, 20))
def test_a_flipped_byte_is_refused_or_leaves_every_number_as_it_was(tmp_path, place):
    path = tmp_path / "a.npz"
    write_arrays(path, {"loss": ARRAYS["loss"]})
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 0xFF
    path.write_bytes(data)
    try:
        found = read_arrays(path)
    except FileFormatError:
        return
    assert all(np.array_equal(values, ARRAYS["loss"]) for values in found.values())
