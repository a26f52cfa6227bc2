"""sparsify: `cfg.json` and `sae.safetensors` in a folder that has the name of the module it reads, such as `layers.6`.

It takes the k largest of the ReLU, and where it reconstructs its input takes `b_dec` off it first. A transcoder predicts a
module's output from that module's input.
"""

import re
from pathlib import Path
from typing import Any

from glassbook.core.errors import FileFormatError
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.formats.config import flag, read_config, section, text, whole
from glassbook.features.formats.hooks import layer_of, site_of
from glassbook.features.formats.numbers import Numbers, safetensors_numbers
from glassbook.features.formats.outcome import KEPT, Exported, Imported, Told, imported, kept_of, model_name
from glassbook.features.formats.weights import Weights, built, features_of
from glassbook.features.formats.writing import new_folder, no_word_for, write_numbers
from glassbook.features.topk import TopK
from glassbook.features.transcoder import SkipTranscoder, Transcoder
from glassbook.files.atomic import write_json
from glassbook.files.reading import shown

NAME = "sparsify"
CONFIG, NUMBERS = "cfg.json", "sae.safetensors"

_HAS = "topk, and transcoders with topk features that write as many numbers as they read"
_MODULE = re.compile(r"(?:.*\.)?(?:layers|h|blocks)[._]([0-9]{1,4})(\.mlp|\.attn|\.self_attn)?")
_WRITES = {None: "hook_resid_post", ".mlp": "hook_mlp_out", ".attn": "hook_attn_out", ".self_attn": "hook_attn_out"}


def finds(path: Path) -> bool:
    """Return whether a folder is one of sparsify, to judge by its files' names."""
    return all((path / name).is_file() for name in (CONFIG, NUMBERS))


def read(path: Path) -> Imported:
    """Return the dictionary of a sparsify folder; raise FileFormatError for a damaged one, or a kind that is none here."""
    where = path / CONFIG
    config = read_config(where)
    activation = text(config, "activation") or "topk"
    if activation != "topk" or flag(where, config, "signed", False):
        how = "signed topk" if activation == "topk" else shown(activation)
        raise FileFormatError(f"'{where}' has {how} features, which no kind of dictionary here has; topk can be read")
    d_in = whole(where, config, "d_in")
    n = (
        whole(where, config, "num_latents")
        if config.get("num_latents")
        else d_in * whole(where, config, "expansion_factor")
    )
    is_transcoder = flag(where, config, "transcode", False)
    remarks: list[str] = []
    with safetensors_numbers(path / NUMBERS) as numbers:
        dictionary = _dictionary(where, config, numbers, (d_in, n), is_transcoder)
        kept = section(where, config, KEPT)
        told = _told(path, config, kept, is_transcoder, tuple(numbers.left()))
    if told.site and not kept:
        remarks.append(f"the Site is taken from the folder's name, '{shown(path.resolve().name)}'")
    return imported(dictionary, NAME, path, told, remarks)


def _dictionary(
    where: Path, config: dict[str, Any], numbers: Numbers, sizes: tuple[int, int], is_transcoder: bool
) -> Dictionary:
    """Return the dictionary of a config's numbers."""
    d_in, n = sizes
    weights = Weights(
        encoder=numbers.take("encoder.weight", n, d_in),
        b_enc=numbers.take("encoder.bias", n),
        decoder=numbers.take("W_dec", n, d_in),
        b_dec=numbers.take("b_dec", d_in),
    )
    if not is_transcoder:
        weights = weights.uncentered()
    has_skip = flag(where, config, "skip_connection", False)
    settings: dict[str, Any] = {"k": whole(where, config, "k")}
    if is_transcoder or has_skip:
        settings = {"activation": "topk", "activation_settings": settings}
    more = {"W_skip": numbers.take("W_skip", d_in, d_in).T} if has_skip else {}
    kind = "skip-transcoder" if has_skip else "transcoder" if is_transcoder else "topk"
    return built(where, kind, weights, settings, more)


def _told(path: Path, config: dict[str, Any], kept: dict[str, Any], is_transcoder: bool, left: tuple[str, ...]) -> Told:
    """Return what the config and the folder's name say of model and Site."""
    facts = section(path / CONFIG, kept, "facts")
    model = text(config, "model")
    if facts:
        return Told(model, site_of(facts.get("site")), site_of(facts.get("site_out")), config, kept, left)
    found = _MODULE.fullmatch(path.resolve().name)
    site = site_of(f"blocks.{found[1]}.{_WRITES[found[2]]}") if found else None
    if path.resolve().name.endswith("embed_tokens"):
        site = "embed"
    # What a module reads is the normed stream, which is none of our Sites; what it writes is.
    read, written = (None, site) if is_transcoder else (site, None)
    return Told(model, read, written, config, kept, left)


def write(dictionary: Dictionary, out: Path) -> Exported:
    """Write a dictionary as sparsify does; raise DictionaryError for a kind that sparsify has no word for."""
    features = features_of(dictionary)
    if not isinstance(features, TopK):
        raise no_word_for(dictionary, "sparsify", _HAS)
    is_transcoder, weights = isinstance(dictionary, Transcoder), Weights.of(dictionary)
    d_in, n, d_out = weights.sizes
    if d_in != d_out:
        raise DictionaryError(
            f"sparsify's transcoders write as many numbers as they read, and this one reads {d_in} and writes {d_out}; "
            "export it as saelens, where its features are of a kind that is there"
        )
    if not is_transcoder:
        weights = weights.centered()
    tensors = {
        "W_dec": weights.decoder,
        "b_dec": weights.b_dec,
        "encoder.bias": weights.b_enc,
        "encoder.weight": weights.encoder,
    }
    if isinstance(dictionary, SkipTranscoder):
        tensors["W_skip"] = dictionary.W_skip.T
    config = {
        "activation": "topk",
        "expansion_factor": max(n // d_in, 1),
        "normalize_decoder": False,
        "num_latents": n,
        "k": features.k,
        "multi_topk": False,
        "skip_connection": isinstance(dictionary, SkipTranscoder),
        "transcode": is_transcoder,
        "d_in": d_in,
        "model": model_name(dictionary),
        KEPT: kept_of(dictionary),
    }
    with new_folder(out) as folder:
        write_numbers(folder / NUMBERS, tensors)
        write_json(folder / CONFIG, config)
    return Exported(out, NAME, (CONFIG, NUMBERS), tuple(_remarks(dictionary, out)))


def _remarks(dictionary: Dictionary, out: Path) -> list[str]:
    """Return what a reader of sparsify should know of this folder."""
    layer = layer_of(dictionary.facts.get("site"))
    if layer is None or out.name == f"layers.{layer}":
        return []
    return [f"sparsify reads a folder's name as that of a module; call it layers.{layer} for its load_many"]
