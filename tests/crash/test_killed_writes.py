"""Writers killed with SIGKILL at every system call that matters: the old content or the new, never a part."""

import os
import signal
import subprocess
import sys

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.files.atomic import atomic_folder, write_bytes
from glassbook.files.manifest import verify_manifest, write_manifest

OLD, NEW = b"old" * 50_000, b"new" * 70_000

# The child counts the calls that reach the disk and kills itself before the one it was told.
KILLER = """
import ctypes, os, signal, sys
from glassbook.files import atomic
left = int(sys.argv[2])

def deadly(call):
    def wrapped(*arguments, **named):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments, **named)
    return wrapped

for name in ("fsync", "replace", "rename", "mkdir", "open"):
    setattr(os, name, deadly(getattr(os, name)))
atomic._exchange = deadly(atomic._exchange)
"""

WRITE_FILE = """
with atomic.atomic_file(sys.argv[1]) as file:
    for start in range(0, 210_000, 30_000):
        file.write((b"new" * 70_000)[start : start + 30_000])
        file.flush()
        deadly(len)(b"")
"""

WRITE_FOLDER = """
from pathlib import Path
from glassbook.files.manifest import write_manifest
with atomic.atomic_folder(sys.argv[1]) as folder:
    for index in range(3):
        (folder / f"{index}.bin").write_bytes(b"new" * (index + 1))
        deadly(len)(b"")
    write_manifest(folder)
"""


def run_and_kill(script, path, after):
    """Return the exit code of a writer that is killed before its `after`-th call."""
    return subprocess.run([sys.executable, "-c", KILLER + script, str(path), str(after)], timeout=60).returncode


def kill_everywhere(script, path, prepare, check):
    """Kill the writer at its first call, its second, and so on until it lives to the end; return how often it died."""
    for after in range(100):
        prepare()
        code = run_and_kill(script, path, after)
        check(code)
        if code == 0:
            return after
        assert code == -signal.SIGKILL
    raise AssertionError("the writer never came to its end")


def test_a_file_is_old_or_new_wherever_its_writer_is_killed(tmp_path):
    path, seen = tmp_path / "weights", []

    def check(code):
        content = path.read_bytes()
        assert content in (OLD, NEW)
        seen.append(content)
        assert content == NEW or code != 0

    deaths = kill_everywhere(WRITE_FILE, path, lambda: write_bytes(path, OLD), check)
    assert deaths >= 9 and seen[0] == OLD and seen[-1] == NEW
    write_bytes(path, OLD)
    assert [found.name for found in tmp_path.iterdir()] == ["weights"]


def test_a_folder_is_old_or_new_wherever_its_writer_is_killed(tmp_path):
    path, seen = tmp_path / "run", []

    def prepare():
        with atomic_folder(path) as folder:
            (folder / "old.bin").write_bytes(OLD)
            write_manifest(folder)

    def check(code):
        assert verify_manifest(path) == []
        names = sorted(found.name for found in path.iterdir())
        assert names in (["manifest.json", "old.bin"], ["0.bin", "1.bin", "2.bin", "manifest.json"])
        seen.append(len(names))

    deaths = kill_everywhere(WRITE_FOLDER, path, prepare, check)
    assert deaths >= 9 and seen[0] == 2 and seen[-1] == 4


def test_a_plain_write_killed_at_the_same_places_does_lose_the_old_file(tmp_path):
    path = tmp_path / "weights"
    plain = WRITE_FILE.replace("atomic.atomic_file(sys.argv[1])", "open(sys.argv[1], 'wb')")
    write_bytes(path, OLD)
    assert run_and_kill(plain, path, 3) == -signal.SIGKILL
    assert path.read_bytes() not in (OLD, NEW)


@pytest.fixture
def tiny_disk(tmp_path):
    """Yield a folder on a file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount; the same law is tested with a simulated full disk in tests/files")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_truly_full_disk_leaves_the_old_file(tiny_disk):
    path = tiny_disk / "weights"
    write_bytes(path, OLD)
    with pytest.raises(GlassbookError, match=r"disk is full.*weights"):
        write_bytes(path, bytes(2_000_000))
    assert path.read_bytes() == OLD and [found.name for found in tiny_disk.iterdir()] == ["weights"]
    write_bytes(path, NEW)
    assert path.read_bytes() == NEW
