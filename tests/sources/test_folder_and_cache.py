"""The data folder, text files in three packings, the cache folder and its locks."""

import gzip
import json
import lzma
import select
import subprocess
import sys

import pytest

from glassbook.core.errors import FileFormatError, GlassbookError, SourceError
from glassbook.sources.cache import cache_dir, disk_free_check, item_lock
from glassbook.sources.folder import find_in_data_folder, open_text, read_jsonl

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))


def test_the_cache_follows_its_variable_and_then_the_platforms(tmp_path, monkeypatch):
    assert cache_dir() == tmp_path / "cache" and cache_dir().is_dir()
    monkeypatch.delenv("GLASSBOOK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir().parent in (tmp_path / "xdg", cache_dir().home() / "Library" / "Caches")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(GlassbookError, match="set GLASSBOOK_CACHE"):
        cache_dir()


def test_room_is_checked_before_a_fetch(tmp_path):
    disk_free_check(tmp_path / "not" / "yet", 1000)
    with pytest.raises(GlassbookError, match=r"needs 1,000,000,000,000 MB and .* are free"):
        disk_free_check(tmp_path / "not" / "yet", 10**18)


def test_a_lock_keeps_another_process_out_until_its_holder_is_gone(tmp_path):
    script = (
        "import sys, time\nfrom glassbook.sources.cache import item_lock\n"
        "with item_lock(sys.argv[1]):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )

    def contender(item):
        return subprocess.Popen([sys.executable, "-c", script, item], stdout=subprocess.PIPE, text=True)

    holder = contender("model")
    assert holder.stdout.readline() == "in\n"
    waiting, other = contender("model"), contender("another")
    try:
        assert other.stdout.readline() == "in\n"
        assert select.select([waiting.stdout], [], [], 0.5)[0] == []
        holder.kill()
        assert waiting.stdout.readline() == "in\n"
    finally:
        for process in (holder, waiting, other):
            process.kill()
            process.wait()
            process.stdout.close()
    with item_lock("model"):
        pass


def test_files_are_found_only_inside_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "data" / "text").mkdir(parents=True)
    (tmp_path / "data" / "text" / "a.txt").write_text("a")
    (tmp_path / "secret").write_text("b")
    monkeypatch.delenv("GLASSBOOK_DATA", raising=False)
    assert find_in_data_folder("text/a.txt") is None
    monkeypatch.setenv("GLASSBOOK_DATA", str(tmp_path / "data"))
    assert find_in_data_folder("text/a.txt") == tmp_path / "data" / "text" / "a.txt"
    assert find_in_data_folder("text/b.txt") is None and find_in_data_folder("text") is None
    for outside in ("../secret", str(tmp_path / "secret"), "text/../../secret"):
        with pytest.raises(SourceError, match="outside"):
            find_in_data_folder(outside)
    monkeypatch.setenv("GLASSBOOK_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="GLASSBOOK_DATA names"):
        find_in_data_folder("text/a.txt")


@pytest.mark.parametrize("suffix", PACKERS)
def test_text_and_lines_read_the_same_in_every_packing(tmp_path, suffix):
    rows = [{"text": "käse\u2028"}, {"text": "b"}]
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](content.encode()))
    with open_text(path) as text:
        assert text.read() == content
    assert list(read_jsonl(path)) == rows


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_truncated_packing_is_told(tmp_path, suffix):
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](b'{"a": 1}\n' * 1000)[:-9])
    with pytest.raises(FileFormatError, match=r"rows\.jsonl.*damaged"):
        list(read_jsonl(path))
    path.write_bytes(b"no archive")
    with pytest.raises(FileFormatError, match="damaged"), open_text(path) as text:
        text.read()


def test_a_bad_line_is_named_and_the_lines_before_it_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": \n')
    rows = read_jsonl(path)
    assert next(rows) == {"a": 1}
    with pytest.raises(FileFormatError, match=r"line 3 of '.*rows\.jsonl'"):
        next(rows)
    path.write_bytes(b'"\xff"\n')
    with pytest.raises(FileFormatError, match="line 1"):
        list(read_jsonl(path))
    with pytest.raises(FileFormatError, match="damaged"), open_text(path) as text:
        text.read()
    with pytest.raises(FileFormatError, match="check the path"):
        list(read_jsonl(tmp_path / "missing"))
