"""A notebook shown while it is written: built again when a file changes, and loaded again by the pages that are open.

Only this machine is answered, and only under its own names: a page from elsewhere that asks by a name of its own gets nothing.
"""

import json
import mimetypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from glassbook.core.errors import GlassbookError, InputError
from glassbook.notebook.notebook import ENTRIES_FOLDER
from glassbook.runs.places import NOTEBOOK_FILE

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_EVENTS, _SCRIPT = "/-/events", "/-/reload.js"
_LOOK_EVERY_S, _BEAT_S = 0.3, 10.0
_RELOAD = """\
// Loads the page again when the notebook was built anew, and says what keeps it from being built.
(() => {
  const bar = Object.assign(document.createElement("pre"), { hidden: true, id: "build-faults" });
  bar.setAttribute("role", "alert");
  document.addEventListener("DOMContentLoaded", () => document.body.prepend(bar));
  let shown = null;
  new EventSource("/-/events").onmessage = (event) => {
    const { version, fault } = JSON.parse(event.data);
    if (shown !== null && version !== shown) location.reload();
    shown = version;
    bar.textContent = fault;
    bar.hidden = !fault;
  };
})();
"""


@dataclass
class State:
    """What open pages are told: how often the site was built, and what keeps it from being built now."""

    version: int = 0
    fault: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def tell(self, fault: str = "") -> None:
        """Tell all open pages that the site was built, or why it was not."""
        with self.changed:
            self.version += not fault
            self.fault = fault
            self.changed.notify_all()

    def as_event(self) -> bytes:
        """Return the state as one event of a stream."""
        return f"data: {json.dumps({'version': self.version, 'fault': self.fault})}\n\n".encode()


class Server(ThreadingHTTPServer):
    """Serves one folder to this machine."""

    daemon_threads = True

    def __init__(self, site: Path, state: State, port: int) -> None:
        self.site, self.state = site, state
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as fault:
            raise InputError(f"port {port} cannot be used ({fault}); give another with --port") from fault

    @property
    def url(self) -> str:
        """Return the address of the first page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of pages that were closed while they were sent."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "glassbook", ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host", "") not in {f"{name}:{port}" for name in _NAMES}:
            return self._send(421, b"This server answers to its own names only.\n", "text/plain", with_body)
        path = urlsplit(self.path).path
        if path == _EVENTS and with_body:
            return self._stream()
        if path == _SCRIPT:
            return self._send(200, _RELOAD.encode(), "text/javascript", with_body)
        file = find_file(self.server.site, path)
        status = 200 if file else 404
        file = file or find_file(self.server.site, "/404.html")
        try:
            data = file.read_bytes() if file else b"There is nothing here.\n"
        except OSError:
            # The site was exchanged for a new one at this very moment.
            return self._send(503, b"The notebook is being built; ask again.\n", "text/plain", with_body)
        kind = (mimetypes.guess_type(file.name)[0] if file else None) or "text/plain"
        if kind == "text/html":
            data = data.replace(b"</head>", f'<script defer src="{_SCRIPT}"></script>\n</head>'.encode(), 1)
        return self._send(status, data, kind, with_body)

    def _send(self, status: int, data: bytes, kind: str, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(data)))
        self._send_common()
        if with_body:
            self.wfile.write(data)

    def _stream(self) -> None:
        """Tell the state now and whenever it changes, until the page is closed."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self._send_common()
        state = self.server.state
        while True:
            with state.changed:
                event = state.as_event()
            self.wfile.write(event)
            self.wfile.flush()
            with state.changed:
                if event == state.as_event():
                    state.changed.wait(_BEAT_S)

    def _send_common(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the terminal for what is wrong with the notebook."""


def find_file(site: Path, path: str) -> Path | None:
    """Return the file that a request's path names below the site; None for a folder, for what is not there, and for a way out."""
    plain = unquote(path, errors="replace")
    if any(char in plain for char in "\0\\") or not plain.startswith("/"):
        return None
    plain = f"{plain}index.html" if plain.endswith("/") else plain
    parts = [part for part in plain.split("/") if part]
    if any(part.startswith(".") for part in parts):
        return None
    file = site.joinpath(*parts)
    try:
        return file if file.is_file() and file.resolve().is_relative_to(site.resolve()) else None
    except OSError:
        return None


def watch(root: Path, rebuild: Callable[[], None], state: State) -> None:
    """Build again whenever a file of the notebook changes, for ever; faults are told and the last good site stays."""
    before = stamps(root)
    while True:
        time.sleep(_LOOK_EVERY_S)
        now = stamps(root)
        if now != before:
            before = now
            build_and_tell(rebuild, state)


def build_and_tell(rebuild: Callable[[], None], state: State) -> None:
    """Build, and tell open pages that it is done or what is wrong."""
    try:
        rebuild()
    except GlassbookError as fault:
        state.tell(str(fault))
    else:
        state.tell()


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file that a build reads."""
    return {path: stamp for path in _read_by_builds(root) if (stamp := _stamp(path)) is not None}


def _read_by_builds(root: Path) -> Iterator[str]:
    yield str(root / NOTEBOOK_FILE)
    for folder, _, names in os.walk(root / ENTRIES_FOLDER):
        yield from (os.path.join(folder, name) for name in names)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
