"""`open_model`: from a name, a folder, a file or a hub id to a model."""

import re
from difflib import get_close_matches
from pathlib import Path

import torch

from glassbook.core.devices import as_weight_dtype
from glassbook.core.errors import InputError, ModelError
from glassbook.models.loading.assemble import Progress, assemble
from glassbook.models.loading.checkpoint import Checkpoint
from glassbook.models.loading.known import open_known
from glassbook.models.loading.locating import open_path
from glassbook.models.loading.naming import KNOWN, find_known
from glassbook.models.model import Model
from glassbook.sources.hub import fetch_hub_model
from glassbook.text.tokenizer import Tokenizer

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
_FILE_ENDINGS = (".gguf", ".safetensors", ".bin", ".pt", ".pth")


def open_model(
    name: str | Path,
    dtype: str | torch.dtype = "float32",
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Model:
    """Return the model that `name` means, its weights in `dtype` (float32, bfloat16, float16 or int8) on `device`.

    `name` is a known name (`smollm2-135m`), a folder of Hugging Face's form or our own, a `.gguf` file, a
    `.safetensors` file beside its `config.json`, or a hub id `owner/name` or `owner/name@revision`. A known model is
    fetched and converted once, and comes from the cache afterwards. `progress` is called with a label, the bytes done
    and the bytes in all.
    Raises ModelError for an unknown name or a model we cannot run, FileFormatError for a damaged file, SourceError
    where bytes cannot be fetched.
    """
    wanted, place = as_weight_dtype(dtype), as_device(device)
    with _find(name, progress) as checkpoint:
        return assemble(checkpoint, wanted, place, progress)


def tokenizer_of(name: str | Path, progress: Progress | None = None) -> Tokenizer:
    """Return the tokenizer of the model that `name` means, as in `open_model`, without reading its weights.

    Raises InputError where the model has none.
    """
    with _find(name, progress) as checkpoint:
        if checkpoint.tokenizer is None:
            raise InputError(f"the model '{name}' has no tokenizer; name another")
        return checkpoint.tokenizer


def _find(name: str | Path, progress: Progress | None) -> Checkpoint:
    text = str(name)
    if key := find_known(text):
        return open_known(key, progress)
    path = Path(text).expanduser()
    if path.exists():
        return open_path(path)
    if _HUB_ID.fullmatch(text) and not text.endswith(_FILE_ENDINGS):
        repository, _, revision = text.partition("@")
        return open_path(fetch_hub_model(repository, revision or None, progress), stated=text)
    raise ModelError(_unknown(text))


def as_device(device: str | torch.device) -> torch.device:
    """Return the device called `device`; raise InputError where this machine has none."""
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as fault:
        raise InputError(
            f"the device '{device}' cannot be used here; choose cpu, or cuda where there is a GPU"
        ) from fault
    return place


def _unknown(text: str) -> str:
    given = f"known names: {', '.join(KNOWN)}; or give a folder, a .gguf file or a hub id owner/name"
    if text.startswith((".", "/", "~")) or text.endswith(_FILE_ENDINGS):
        return f"there is no file or folder '{text}'; {given}"
    names = [alias for key, known in KNOWN.items() for alias in (key, *known.aliases)]
    near = get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"no model is named '{text}'; {hint}{given}"
