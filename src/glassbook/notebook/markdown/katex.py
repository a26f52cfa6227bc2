"""Formulas set by KaTeX while the site is built, so that pages carry no script for them."""

import hashlib
import json
import os
import secrets
import threading
from functools import cache
from pathlib import Path

import quickjs
from markupsafe import Markup

from glassbook.notebook.faults import NotebookError

SOURCE = Path(__file__).parents[1] / "assets" / "katex" / "katex.min.js"
MAX_LENGTH = 5000
_SECONDS = 2.0
_BYTES = 128 << 20
_STACK = 1 << 20
_SET = """
function set(list) {
  var tex = JSON.parse(list), refused = "";
  try {
    return JSON.stringify([katex.renderToString(tex[0], {
      displayMode: tex[1], throwOnError: true, strict: false, maxExpand: 1000, maxSize: 50,
      trust: function (asked) { refused = asked.command; throw new Error("refused"); }
    }), ""]);
  } catch (error) {
    return JSON.stringify(["", refused ? refused + " is not allowed" : String(error.message)]);
  }
}
"""
# Engines may not be used from a thread other than the one that made them.
_engines = threading.local()


class Formulas:
    """KaTeX with a memory, and where a folder is given with one on disk that several builds may share at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._known: dict[tuple[str, bool], Markup] = {}

    def html(self, tex: str, *, display: bool) -> Markup:
        """Return `tex` as HTML with MathML beside it; raise NotebookError where KaTeX cannot set it."""
        key = (tex.strip(), display)
        if key not in self._known:
            self._known[key] = Markup(self._read(*key) or self._make(*key))
        return self._known[key]

    def _read(self, tex: str, display: bool) -> str | None:
        """Return what an earlier build left, unless the file is cut short or is not what its first line says."""
        if self.folder is None:
            return None
        try:
            stamp, _, html = self._place(tex, display).read_bytes().partition(b"\n")
        except OSError:
            return None
        return html.decode() if stamp == _hash(html).encode() else None

    def _make(self, tex: str, display: bool) -> str:
        html = set_formula(tex, display)
        if self.folder is not None:
            place, data = self._place(tex, display), html.encode()
            place.parent.mkdir(parents=True, exist_ok=True)
            # Not synced to the disk as other files are: it can always be made again, and its first line tells a whole one.
            part = place.with_name(f"{place.name}.{secrets.token_hex(6)}.part")
            part.write_bytes(_hash(data).encode() + b"\n" + data)
            os.replace(part, place)
        return html

    def _place(self, tex: str, display: bool) -> Path:
        assert self.folder is not None
        name = _hash(f"{_version()}\n{display}\n{tex}".encode())
        return self.folder / name[:2] / f"{name[2:34]}.html"


def set_formula(tex: str, display: bool) -> str:
    """Return `tex` set by KaTeX in bounded time and memory; raise NotebookError where that fails."""
    if len(tex) > MAX_LENGTH:
        raise NotebookError(
            f"{_named(tex)} is {len(tex):,} characters long; at most {MAX_LENGTH:,} are set, so part it"
        )
    try:
        html, fault = json.loads(_engine().get("set")(json.dumps([tex, display])))
    except (quickjs.JSException, MemoryError) as error:
        # The engine was stopped in the middle of its work; the next formula gets a new one.
        del _engines.context
        raise NotebookError(
            f"{_named(tex)} costs more time or memory than {_SECONDS:.0f} s; write it simpler"
        ) from error
    if fault:
        raise NotebookError(f"{_named(tex)} cannot be set: {_told(fault)}")
    return str(html)


def _engine() -> quickjs.Context:
    """Return this thread's engine with KaTeX loaded."""
    if not hasattr(_engines, "context"):
        context = quickjs.Context()
        context.set_memory_limit(_BYTES)
        context.set_max_stack_size(_STACK)
        context.eval(SOURCE.read_text(encoding="utf-8"))
        context.eval(_SET)
        context.set_time_limit(_SECONDS)
        _engines.context = context
    return _engines.context


def _named(tex: str) -> str:
    short = " ".join(tex.split())
    return f"the formula '{short if len(short) <= 60 else short[:57] + '…'}'"


def _told(fault: str) -> str:
    """Return KaTeX's complaint without its name and without the underlined copy of the formula."""
    said = fault.removeprefix("KaTeX parse error: ").split(" at position ")[0].strip()
    return said[:1].lower() + said[1:200] if said else "KaTeX gives no reason"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def _version() -> str:
    """Return what changes whenever KaTeX or its settings do, so that an older memory is not believed."""
    return _hash(SOURCE.read_bytes() + _SET.encode())
