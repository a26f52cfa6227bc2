"""Fetching over HTTP against a server of our own: whole, interrupted, resumed, altered, refused."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glassbook.core.errors import SourceError
from glassbook.files.hashes import sha256_bytes
from glassbook.sources import fetch
from glassbook.sources.fetch import PARTIAL_SUFFIX, fetch_url

CONTENT = bytes(range(256)) * 8000


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `drops` says after how many bytes each of the next answers breaks off."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.drops, self.asked = CONTENT, True, [], []
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path != "/file.bin":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        total = len(self.server.content)
        if start and start >= total:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start))
        self.end_headers()
        end = start + self.server.drops.pop(0) if self.server.drops else total
        self.wfile.write(self.server.content[start:end])
        if end < total:
            self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "_PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server, to, progress=None, content=CONTENT):
    return fetch_url(server.url, to, sha256_bytes(content), len(content), progress)


def test_a_file_arrives_whole_with_honest_progress(server, tmp_path):
    seen = []
    path = get(server, tmp_path / "new" / "file.bin", lambda *report: seen.append(report))
    assert path.read_bytes() == CONTENT and [found.name for found in path.parent.iterdir()] == ["file.bin"]
    assert seen[-1] == ("fetching file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_dropped_connection_goes_on_where_it_stopped(server, tmp_path):
    server.drops = [500_000, 300_000]
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=800000-"]


def test_a_new_call_goes_on_where_a_killed_one_stopped(server, tmp_path):
    (tmp_path / f"file.bin{PARTIAL_SUFFIX}").write_bytes(CONTENT[:123_456])
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=123456-"]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges, server.drops = False, [500_000]
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-"]


def test_an_interrupted_fetch_keeps_its_part_and_says_how_to_go_on(server, tmp_path):
    server.drops = [400_000, 0, 0, 0, 0]
    with pytest.raises(SourceError, match=r"400,000 of 2,048,000 bytes are here; run this again"):
        get(server, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    server.drops = []
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=400000-"


@pytest.mark.parametrize("sent", [CONTENT[:-1] + b"x", CONTENT + b"more" * 500_000])
def test_another_content_is_refused_and_removed(server, tmp_path, sent):
    server.content = sent
    with pytest.raises(SourceError, match=r"not the file that is wanted.*removed"):
        get(server, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_part_that_the_server_knows_nothing_of_is_begun_anew(server, tmp_path):
    server.content = CONTENT[:1000]
    (tmp_path / f"file.bin{PARTIAL_SUFFIX}").write_bytes(b"?" * 1500)
    with pytest.raises(SourceError, match=r"refused \(416"):
        get(server, tmp_path / "file.bin")
    assert server.asked == ["bytes=1500-", None, "bytes=1000-"] and list(tmp_path.iterdir()) == []
    server.content = CONTENT
    assert get(server, tmp_path / "file.bin").read_bytes() == CONTENT


def test_an_address_that_is_refused_or_no_address_is_named(server, tmp_path):
    with pytest.raises(SourceError, match="refused \\(404"):
        fetch_url(server.url + "x", tmp_path / "a", "0" * 64, 10)
    with pytest.raises(SourceError, match="http://"):
        fetch_url((tmp_path / "local").as_uri(), tmp_path / "a", "0" * 64, 10)
    with pytest.raises(SourceError, match=r"could not be fetched.*put the file at"):
        fetch_url("http://127.0.0.1:9/file.bin", tmp_path / "a", "0" * 64, 10)
    assert list(tmp_path.iterdir()) == []
