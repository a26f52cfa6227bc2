"""Gemma Scope 1, read: `params.npz` of a JumpReLU dictionary (Lieberum et al. 2024, 2408.05147).

The file holds numbers alone. Which model, layer and part of a block they are of stands in the names of the folders around it, as
`gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71`.
"""

import re
from pathlib import Path

from glassbook.features.formats.hooks import site_of
from glassbook.features.formats.npz import npz_numbers
from glassbook.features.formats.outcome import Imported, Told, imported
from glassbook.features.formats.weights import INNER, Weights, built, log_thresholds

NAME = "gemma_scope"
NUMBERS = "params.npz"

_LAYER = re.compile(r"layer_([0-9]{1,4})")
_RELEASE = re.compile(r"gemma-scope-([0-9]+b)-(pt|it)-(res|mlp|att|transcoders)(?:-.*)?")
_WRITES = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}
_EMBEDDING = "embedding"
_FOLDERS = 5


def finds(path: Path) -> bool:
    """Return whether a path is `params.npz`, or a folder that holds one."""
    return (path / NUMBERS).is_file() or (path.name == NUMBERS and path.is_file())


def read(path: Path) -> Imported:
    """Return the dictionary of a params.npz; raise FileFormatError for a damaged one."""
    file = path if path.name == NUMBERS and path.is_file() else path / NUMBERS
    around = [part.name for part in file.resolve().parents][:_FOLDERS]
    release = next((found for name in around if (found := _RELEASE.fullmatch(name))), None)
    is_transcoder = bool(release and release[3] == "transcoders")
    remarks: list[str] = []
    with npz_numbers(file) as numbers:
        d_in, n = numbers.shape("W_enc", 2)
        d_out = numbers.shape("W_dec", 2)[1]
        encoder, decoder = numbers.take("W_enc", d_in, n).T, numbers.take("W_dec", n, d_out)
        if _EMBEDDING in around:
            # Trained on embeddings times the root of the width, as this model's first block reads them.
            encoder, decoder = encoder.double() / d_in**0.5, decoder.double() * d_in**0.5
            remarks.append("the root of the width, by which embeddings were multiplied in its training, is folded in")
        weights = Weights(encoder, numbers.take("b_enc", n), decoder, numbers.take("b_dec", d_out))
        thresholds = {"log_threshold": log_thresholds(numbers.take("threshold", n))}
        left = tuple(numbers.left())
    if is_transcoder or d_in != d_out:
        own = {f"{INNER}{name}": value for name, value in thresholds.items()}
        dictionary = built(file, "transcoder", weights, {"activation": "jumprelu"}, own)
    else:
        dictionary = built(file, "jumprelu", weights, {}, thresholds)
    return imported(dictionary, NAME, path, _told(around, release, left), remarks)


def _told(around: list[str], release: re.Match[str] | None, left: tuple[str, ...]) -> Told:
    """Return what the folders' names say of model and Sites."""
    layer = next((found[1] for name in around if (found := _LAYER.fullmatch(name))), None)
    config = {"folders": around}
    if release is None:
        return Told(config=config, left=left)
    model = f"gemma-2-{release[1]}" + ("-it" if release[2] == "it" else "")
    if _EMBEDDING in around:
        return Told(model, "embed", None, config, {}, left)
    if layer is None:
        return Told(model, None, None, config, {}, left)
    if release[3] == "transcoders":
        # It reads the normed stream, which is none of our Sites.
        return Told(model, None, site_of(f"blocks.{layer}.hook_mlp_out"), config, {}, left)
    return Told(model, site_of(f"blocks.{layer}.{_WRITES[release[3]]}"), None, config, {}, left)
