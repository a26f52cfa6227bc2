"""A notebook is served to this machine under its own names, from its own folder, and open pages hear of every build."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from glassbook.core.errors import GlassbookError, InputError
from glassbook.notebook.site.serving import Server, State, build_and_tell, find_file, stamps

PAGE = "<!doctype html><html><head><title>One</title></head><body>One</body></html>"


@pytest.fixture
def site(tmp_path):
    """Return the folder of a small site; beside it lies what is nobody's business."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "site"
    (folder / "terms").mkdir(parents=True)
    for name in ("index.html", "404.html", "terms/one two.html"):
        (folder / name).write_text(PAGE)
    (folder / ".hidden").write_text("hidden")
    (folder / "way-out").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def server(site):
    """Return a server of the small site at work."""
    with Server(site, State(), 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server, path, host=None, method="GET"):
    port = server.server_address[1]
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    asking.putrequest(method, path, skip_host=True)
    if host is None or host:
        asking.putheader("Host", host or f"127.0.0.1:{port}")
    asking.endheaders()
    answer = asking.getresponse()
    return answer, answer.read()


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_its_own_names_are_answered(server, name):
    answer, body = ask(server, "/", f"{name}:{server.server_address[1]}")
    assert answer.status == 200 and b"<title>One</title>" in body


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost",
        "localhost:1",
        "169.254.169.254",
        "0.0.0.0",
        "",
        "user@localhost",
    ],
)
def test_other_names_get_nothing(server, host):
    answer, body = ask(server, "/", host)
    assert answer.status == 421 and b"One" not in body


@pytest.mark.parametrize("path", ["/", "/index.html", "/terms/one%20two.html", "/index.html?query#part"])
def test_what_is_there_is_served_with_the_script_that_reloads(server, path):
    answer, body = ask(server, path)
    assert answer.status == 200 and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert body.count(b"/-/reload.js") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/terms/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/terms/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//secret.txt",
        "/way-out",
        "/.hidden",
        "/index.html%00.txt",
        "/terms",
        "/terms/",
        "/" + "a" * 5000,
        "/nothing.html",
    ],
)
def test_nothing_else_is(server, path):
    answer, body = ask(server, path)
    assert answer.status == 404 and b"secret" not in body and b"hidden" not in body


def test_only_reading_is_understood(server):
    assert ask(server, "/", method="POST")[0].status == 501
    head, body = ask(server, "/", method="HEAD")
    assert (head.status, body) == (200, b"")


def test_a_file_is_found_below_the_site_alone(site):
    assert find_file(site, "/terms/one two.html") == site / "terms/one two.html"
    assert find_file(site, "terms/one two.html") is None
    assert find_file(site, "/way-out") is None


def test_open_pages_hear_of_builds_and_of_what_is_wrong(server):
    asking = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    asking.request("GET", "/-/events")
    stream = asking.getresponse()

    def heard():
        told = json.loads(stream.readline().removeprefix(b"data: "))
        stream.readline()
        return told

    assert heard() == {"version": 0, "fault": ""}
    build_and_tell(lambda: None, server.state)
    assert heard() == {"version": 1, "fault": ""}

    def broken():
        raise GlassbookError("a.md:3: no entry is called 'x'")

    build_and_tell(broken, server.state)
    assert heard() == {"version": 1, "fault": "a.md:3: no entry is called 'x'"}


def test_a_port_that_is_taken_is_said_in_one_sentence(server, site):
    with pytest.raises(InputError, match="give another with --port"):
        Server(site, State(), server.server_address[1])


def test_a_change_of_any_file_of_the_notebook_is_seen(small):
    before = stamps(small)
    assert stamps(small) == before, "control"
    (small / "entries/posts/hello.md").write_text("# Hello again\n")
    assert stamps(small) != before
    (small / "entries/posts/new.md").write_text("# New\n")
    assert set(stamps(small)) - set(before) == {str(small / "entries/posts/new.md")}


def test_the_command_shows_edits_within_seconds_and_ends_at_ctrl_c(small):
    command = [
        sys.executable,
        "-m",
        "glassbook.cli",
        "serve",
        "--notebook",
        str(small),
        "--port",
        "0",
        "--no-open",
        "--json",
    ]
    # A shell that starts tests in the background leaves Ctrl-C ignored.
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        told = json.loads(running.stdout.readline())
        port = int(told["url"].split(":")[-1].strip("/"))

        def page():
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asking.request("GET", "/posts/hello.html")
            return asking.getresponse().read().decode()

        assert told["token"] is None and "A post without front matter." in page()
        (small / "entries/posts/hello.md").write_text("# Hello\n\nQuite another text.\n")
        end = time.monotonic() + 20
        while "Quite another text." not in page() and time.monotonic() < end:
            time.sleep(0.2)
        assert "Quite another text." in page()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) in (0, 130)
    finally:
        running.kill()
        running.wait()
    assert os.path.isdir(small / "entries")
