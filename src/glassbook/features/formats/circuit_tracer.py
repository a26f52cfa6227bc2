"""circuit-tracer, read: one `layer_N.safetensors` of a set of transcoders, with the `config.yaml` beside it.

Features are a ReLU, a JumpReLU where there are thresholds, or the k largest where the config says so. Of the YAML only names with
one value at the outermost level are read.
"""

import re
from pathlib import Path
from typing import Any

from glassbook.core.errors import FileFormatError, InputError
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.config import read_bounded
from glassbook.features.formats.hooks import site_of
from glassbook.features.formats.numbers import Numbers, safetensors_numbers
from glassbook.features.formats.outcome import Imported, Told, imported
from glassbook.features.formats.weights import INNER, Weights, built, log_thresholds
from glassbook.files.reading import damaged, shown

NAME = "circuit_tracer"
CONFIG = "config.yaml"

_LAYER = re.compile(r"layer_([0-9]{1,4})\.safetensors")
_ACROSS = re.compile(r"W_(?:enc|dec)_[0-9]{1,4}\.safetensors")
_LINE = re.compile(r"(?m)^([A-Za-z_]+):[ \t]*(\S.*?)?[ \t]*$")
_THRESHOLD = "activation_function.threshold"


def finds(path: Path) -> bool:
    """Return whether a path is one layer of such a set, or a folder of them."""
    if path.is_file():
        return bool(_LAYER.fullmatch(path.name))
    if not (path / CONFIG).is_file():
        return False
    return any(_LAYER.fullmatch(one.name) or _ACROSS.fullmatch(one.name) for one in path.iterdir())


def layers(path: Path) -> list[Path]:
    """Return the layers of a set, the first one first; a path that is one layer stands for itself.

    Raises FileFormatError for transcoders across layers, which are no dictionaries each by itself.
    """
    if path.is_file():
        return [path]
    found = [one for one in path.iterdir() if _LAYER.fullmatch(one.name)]
    if not found:
        raise FileFormatError(
            f"'{path}' holds a transcoder across layers, whose features write at many layers at once, and a dictionary here "
            "writes at one; give a set of one transcoder a layer"
        )
    return sorted(found, key=_layer)


def read(path: Path) -> Imported:
    """Return the transcoder of one layer; raise InputError where a folder holds several, FileFormatError for a damaged one."""
    several = layers(path)
    if len(several) > 1:
        raise InputError(f"'{path}' holds {len(several)} transcoders, one a layer; name one, such as {several[0].name}")
    file = several[0]
    config = _config(file.parent / CONFIG)
    remarks: list[str] = []
    with safetensors_numbers(file) as numbers:
        dictionary = _dictionary(file, config, numbers, remarks)
        left = tuple(name for name in numbers.left() if name != "k")
    layer = _layer(file)
    read, written = (
        site_of(f"blocks.{layer}.{config[key]}") if key in config else None
        for key in ("feature_input_hook", "feature_output_hook")
    )
    told = Told(config.get("model_name"), read, written, config, {}, left)
    return imported(dictionary, NAME, path, told, remarks)


def _dictionary(file: Path, config: dict[str, str], numbers: Numbers, remarks: list[str]) -> Dictionary:
    """Return the transcoder of one file."""
    n, d_in = numbers.shape("W_enc", 2)
    d_out = numbers.shape("W_dec", 2)[1]
    weights = Weights(
        encoder=numbers.take("W_enc", n, d_in),
        b_enc=numbers.take("b_enc", n),
        decoder=numbers.take("W_dec", n, d_out),
        b_dec=numbers.take("b_dec", d_out),
    )
    has_skip = "W_skip" in numbers
    more = {"W_skip": numbers.take("W_skip", d_out, d_in).T} if has_skip else {}
    settings: dict[str, Any] = {"activation": "standard"}
    if config.get("activation") == "topk" or "k" in numbers:
        settings = {"activation": "topk", "activation_settings": {"k": _k(file, config, numbers)}}
        remarks.append(
            "where fewer than k pre-activations are above 0 it keeps the negative ones, which are dropped here"
        )
    elif _THRESHOLD in numbers and config.get("activation") != "relu":
        thresholds = numbers.take(_THRESHOLD, n)
        if bool((thresholds < 0).any()):
            raise FileFormatError(
                f"'{file}' has thresholds below 0, which let negative features through, and no kind of dictionary here does"
            )
        settings = {"activation": "jumprelu"}
        more[f"{INNER}log_threshold"] = log_thresholds(thresholds)
    return built(file, "skip-transcoder" if has_skip else "transcoder", weights, settings, more)


def _k(file: Path, config: dict[str, str], numbers: Numbers) -> int:
    """Return how many features are active."""
    if "k" in numbers:
        return int(numbers.take("k"))
    if not re.fullmatch(r"[0-9]{1,9}", config.get("k", "")):
        raise damaged(file.parent / CONFIG, f"its activation is topk and its k is {shown(config.get('k', 'missing'))}")
    return int(config["k"])


def _config(path: Path) -> dict[str, str]:
    """Return the names with one value at the outermost level of a YAML file; nothing where there is no file."""
    if not path.is_file():
        return {}
    text = read_bounded(path).decode("utf-8", errors="replace")
    return {
        key: value.strip("'\"") for key, value in _LINE.findall(text) if value and not value.startswith(("#", "&", "|"))
    }


def _layer(path: Path) -> int:
    found = _LAYER.fullmatch(path.name)
    return int(found[1]) if found else 0
