"""Manifests: an intact folder has no differences, every change is one sentence."""

import json

import pytest

from glassbook.core.errors import FileFormatError
from glassbook.files.hashes import sha256_bytes
from glassbook.files.manifest import MANIFEST_NAME, read_manifest, verify_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.txt").write_bytes(b"alpha")
    (tmp_path / "inner" / "b.bin").write_bytes(b"beta")
    write_manifest(tmp_path, {"seed": 7})
    return tmp_path


def test_what_is_written_is_read_back(folder):
    manifest = read_manifest(folder)
    assert manifest.extra == {"seed": 7} and list(manifest.files) == ["a.txt", "inner/b.bin"]
    assert manifest.files["a.txt"].bytes == 5 and manifest.files["a.txt"].sha256 == sha256_bytes(b"alpha")
    assert verify_manifest(folder) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "a.txt").unlink(), "a.txt is missing"),
        (lambda folder: (folder / "a.txt").write_bytes(b"alphA"), "a.txt has the right size but another content"),
        (lambda folder: (folder / "inner" / "b.bin").write_bytes(b"b"), "inner/b.bin has 1 bytes, not 4"),
        (lambda folder: (folder / "inner" / "c").write_bytes(b""), "inner/c is not in the manifest"),
    ],
)
def test_every_change_is_told(folder, change, sentence):
    change(folder)
    assert verify_manifest(folder) == [sentence]


def test_a_half_written_temporary_file_is_no_part_of_the_folder(folder):
    (folder / ".a.txt.1-ff.part").write_bytes(b"half")
    assert verify_manifest(folder) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format":1}', "[" * 100_000, '{"format":"other","files":{},"extra":{}}']
)
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / MANIFEST_NAME).write_text(text)
    with pytest.raises(FileFormatError, match=r"manifest\.json"):
        read_manifest(folder)


@pytest.mark.parametrize("name", ["/etc/hostname", "../a.txt", "inner/../../a.txt"])
def test_a_manifest_that_points_outside_is_refused(folder, name):
    stored = json.loads((folder / MANIFEST_NAME).read_text())
    stored["files"][name] = stored["files"]["a.txt"]
    (folder / MANIFEST_NAME).write_text(json.dumps(stored))
    with pytest.raises(FileFormatError, match="outside"):
        verify_manifest(folder)


def test_a_folder_without_a_manifest_is_unfinished(tmp_path):
    with pytest.raises(FileFormatError, match="never finished"):
        verify_manifest(tmp_path)
