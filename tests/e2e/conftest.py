"""One sample notebook, built once, served from a sub-path and opened from its folder."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browsing import chromium
from e2e.building import build_sample

SUB_PATH = "deep/notes"


@dataclass
class Visit:
    """An open page, and what it said and asked for since it was opened."""

    page: Any
    origin: str
    said: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def hear(self) -> None:
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        self.page.on("request", self._request)
        self.page.on("dialog", self._dialog)

    def _request(self, request: Any) -> None:
        if request.url.startswith(self.origin):
            self.fetched.append(request.url)
        elif not request.url.startswith("data:"):
            self.abroad.append(request.url)

    def _dialog(self, dialog: Any) -> None:
        self.alerts.append(dialog.message)
        dialog.dismiss()


Visiting = Callable[..., Any]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built sample, below a folder whose root is served."""
    folder = tmp_path_factory.mktemp("site")
    return build_sample(folder / "notebook", folder / "served" / SUB_PATH)


class _Handler(SimpleHTTPRequestHandler):
    """Serves the site as a host of static pages does, 404 included."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory, SUB_PATH, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Return the address of the site's root over http; it ends in a slash."""
    served = site.parents[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{SUB_PATH}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a running browser."""
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Any, address: str) -> Visiting:
    """Return a context manager that opens a page of the site; options are those of playwright's contexts."""

    @contextmanager
    def open_page(
        path: str, *, root: str = address, width: int = 1280, height: int = 900, **options: Any
    ) -> Iterator[Visit]:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        opened = Visit(context.new_page(), root)
        opened.hear()
        opened.page.goto(root + path, wait_until="load")
        yield opened
        context.close()

    return open_page
