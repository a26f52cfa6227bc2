"""Known models: fetched once, converted once to our own folder in the cache, opened from there ever after."""

import logging
from pathlib import Path

from glassbook.core.errors import FileFormatError, ModelError
from glassbook.models.loading.assemble import Progress
from glassbook.models.loading.checkpoint import Checkpoint
from glassbook.models.loading.locating import open_path
from glassbook.models.loading.own_folder import convert
from glassbook.sources.cache import cache_dir, disk_free_check, item_lock
from glassbook.sources.obtain import obtain

_log = logging.getLogger(__name__)
_FLOAT32_BYTES = 4


def converted_folder(key: str) -> Path:
    """Return where the converted form of a known model lies in the cache, or would lie."""
    return cache_dir() / "models" / key


def open_known(key: str, progress: Progress | None = None) -> Checkpoint:
    """Return the open checkpoint of a known model, fetching and converting it where the cache has no sound copy."""
    folder = converted_folder(key)
    with item_lock(f"model-{key}"):
        if folder.exists():
            try:
                return open_path(folder)
            except (FileFormatError, ModelError) as fault:
                _log.warning("the cached model is made anew, because %s", str(fault).partition(";")[0])
        _convert(key, folder, progress)
        return open_path(folder)


def _convert(key: str, folder: Path, progress: Progress | None) -> None:
    source = obtain(key, progress)
    with open_path(source) as checkpoint:
        weights = sum(weight.numel() for weight in checkpoint.net.parameters())
        folder.parent.mkdir(parents=True, exist_ok=True)
        disk_free_check(folder, _FLOAT32_BYTES * weights)
        convert(checkpoint, folder, progress)
