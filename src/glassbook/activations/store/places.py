"""Where a store lies: a folder of this machine, or any place that fsspec reaches; files are put there whole or not at all."""

import fcntl
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from glassbook.core.errors import FileFormatError, GlassbookError, InputError, SourceError
from glassbook.files.atomic import is_temporary, write_bytes

_LOCK = ".lock"
_HELD = 4
"""How many files of a distant place are kept here at a time."""


class Folder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.root = path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None where it is not there."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as fault:
            raise FileFormatError(f"'{self.root / name}' cannot be read ({_reason(fault)}); check the disk") from fault

    def write(self, name: str, data: bytes) -> None:
        """Replace a file, all or nothing; when this returns, it is there to stay."""
        write_bytes(self._made(name), data)

    def put(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` make a file at a path of this machine, put it here, and return a path where it can be read now."""
        path = self._made(name)
        write(path)
        return path

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, or None where it is not there."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def path(self, name: str) -> Path:
        """Return a path of this machine at which a file can be read now."""
        return self.root / name

    def is_empty(self) -> bool:
        """Return whether nothing lies here."""
        if not self.root.is_dir():
            return not self.root.exists()
        return all(entry.name == _LOCK or is_temporary(entry.name) for entry in self.root.iterdir())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of this machine from writing here; raise GlassbookError where one does."""
        # The kernel lets go of the lock when the process ends, however it ends.
        number = os.open(self._made(_LOCK), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                raise GlassbookError(
                    f"another process is harvesting into '{self.root}'; wait for it or choose another folder"
                ) from fault
            yield
        finally:
            os.close(number)

    def _made(self, name: str) -> Path:
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise InputError(f"the folder '{path.parent}' cannot be made ({_reason(fault)}); choose another") from fault
        return path


class Distant:
    """A place that fsspec reaches; its files are fetched whole when they are read, and the last few kept."""

    def __init__(self, files: Any, root: str, url: str) -> None:
        self.files, self.root, self.url = files, root.rstrip("/"), url
        self._cache = Path(tempfile.mkdtemp(prefix="glassbook-store-"))
        self._held: OrderedDict[str, Path] = OrderedDict()

    def __str__(self) -> str:
        return self.url

    def __del__(self) -> None:
        shutil.rmtree(getattr(self, "_cache", ""), ignore_errors=True)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None where it is not there."""
        with self._explained(f"reading {name}"):
            try:
                return bytes(self.files.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file, all or nothing; when this returns, it is there to stay."""
        with self._explained(f"writing {name}"):
            self._make_parent(name)
            self.files.pipe_file(self._at(name), data)

    def put(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let `write` make a file at a path of this machine, put it here, and return a path where it can be read now."""
        path = self._cache / name.replace("/", "-")
        write(path)
        with self._explained(f"writing {name}"):
            self._make_parent(name)
            self.files.put_file(str(path), self._at(name))
        return self._keep(name, path)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, or None where it is not there."""
        with self._explained(f"looking for {name}"):
            try:
                self.files.invalidate_cache()
                return int(self.files.info(self._at(name))["size"])
            except FileNotFoundError:
                return None

    def path(self, name: str) -> Path:
        """Return a path of this machine at which a file can be read now."""
        if name in self._held:
            self._held.move_to_end(name)
            return self._held[name]
        path = self._cache / name.replace("/", "-")
        with self._explained(f"fetching {name}"):
            self.files.get_file(self._at(name), str(path))
        return self._keep(name, path)

    def is_empty(self) -> bool:
        """Return whether nothing lies here."""
        with self._explained("looking into it"):
            self.files.invalidate_cache()
            return not self.files.exists(self.root) or not self.files.find(self.root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Do nothing: nothing is locked here."""
        # A lock that outlives a killed process would be worse than none; shards are named by number and checked by content.
        yield

    def _keep(self, name: str, path: Path) -> Path:
        self._held[name] = path
        self._held.move_to_end(name)
        while len(self._held) > _HELD:
            # What is still mapped stays readable until it is let go of.
            self._held.popitem(last=False)[1].unlink(missing_ok=True)
        return path

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _make_parent(self, name: str) -> None:
        self.files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except GlassbookError:
            raise
        # Every file system of fsspec raises what its own library raises.
        except Exception as fault:
            raise SourceError(
                f"{doing} at '{self.url}' failed ({type(fault).__name__}: {str(fault)[:200]}); "
                "check the address and the connection"
            ) from fault


Place = Folder | Distant


def as_place(folder: str | Path) -> Place:
    """Return the place that a path or an fsspec URL names; raise InputError for a URL that fsspec does not know."""
    text = str(folder)
    if "://" not in text or isinstance(folder, Path):
        return Folder(Path(folder))
    try:
        files, root = fsspec.core.url_to_fs(text)
    except (ValueError, ImportError) as fault:
        raise InputError(f"'{text[:120]}' cannot be opened by fsspec ({fault}); check the address") from fault
    if text.startswith(("file://", "local://")):
        return Folder(Path(root))
    return Distant(files, root, text)


def _reason(fault: OSError) -> str:
    return (fault.strerror or str(fault)).lower()
