"""Checksums: equal values have equal hashes, different values different ones."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.files.hashes import canonical_json, hash_json, sha256_bytes, sha256_file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def test_a_file_hashes_like_its_bytes_and_progress_ends_at_its_size(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "data").write_bytes(data)
    seen = []
    got = sha256_file(tmp_path / "data", lambda label, done, total: seen.append((done, total)))
    assert got == hashlib.sha256(data).hexdigest() == sha256_bytes(data)
    assert got != sha256_bytes(data[:-1])
    assert seen[-1] == (len(data), len(data)) and [done for done, _ in seen] == sorted(done for done, _ in seen)


@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_change_the_hash_but_a_value_does(value):
    assert hash_json(dict(reversed(value.items()))) == hash_json(value)
    key = next(iter(value))
    assert hash_json({**value, key: [value[key]]}) != hash_json(value)


def test_the_canonical_form_is_short_and_in_utf8():
    assert canonical_json({"b": [1, 2.5], "a": "ä"}) == '{"a":"ä","b":[1,2.5]}'.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: 2}, [{"a": {3: 4}}], object(), {"a": {1, 2}}, "\ud800"]
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(InputError, match="canonical JSON"):
        hash_json(value)
