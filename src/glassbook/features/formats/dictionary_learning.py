"""dictionary_learning: `ae.pt`, a dict of tensors that torch saved, and `config.json`, which says of which class.

Its linear layers hold matrices transposed beside those of other packages. All its classes but two take the decoder's bias off the
input first.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassbook.core.errors import FileFormatError
from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.config import read_config, section, text, whole
from glassbook.features.formats.hooks import hook_of, layer_of, site_of
from glassbook.features.formats.numbers import Numbers
from glassbook.features.formats.outcome import (
    KEPT,
    Exported,
    Imported,
    Told,
    imported,
    kept_of,
    kept_settings,
    model_name,
)
from glassbook.features.formats.torch_archive import torch_numbers
from glassbook.features.formats.weights import Weights, built, exceeded, log_thresholds, reached
from glassbook.features.formats.writing import as_float32, new_folder, no_word_for
from glassbook.features.matryoshka import MatryoshkaBatchTopK
from glassbook.files.atomic import write_bytes, write_json
from glassbook.files.reading import damaged, shown

NAME = "dictionary_learning"
CONFIG, NUMBERS = "config.json", "ae.pt"

_CLASSES = {
    "standard": "AutoEncoderNew",
    "gated": "GatedAutoEncoder",
    "topk": "AutoEncoderTopK",
    "batchtopk": "BatchTopKSAE",
    "matryoshka-batchtopk": "MatryoshkaBatchTopKSAE",
    "jumprelu": "JumpReluAutoEncoder",
}
"""Which class we write a kind as. AutoEncoderNew takes inputs as they are, and its loader rescales nothing."""

_KINDS = {theirs: ours for ours, theirs in _CLASSES.items()} | {"AutoEncoder": "standard"}
_TRAINERS = {
    "AutoEncoderNew": "StandardTrainerNew",
    "GatedAutoEncoder": "GatedSAETrainer",
    "AutoEncoderTopK": "TopKTrainer",
    "BatchTopKSAE": "BatchTopKTrainer",
    "MatryoshkaBatchTopKSAE": "MatryoshkaBatchTopKTrainer",
    "JumpReluAutoEncoder": "JumpReluTrainer",
}
_BIASES = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias", "GatedAutoEncoder": "decoder_bias"}
_BY_ROWS = ("MatryoshkaBatchTopKSAE", "JumpReluAutoEncoder")
"""Classes whose matrices are parameters of their own, and not those of linear layers."""

_UNCENTERED = ("AutoEncoderNew", "JumpReluAutoEncoder")


def finds(path: Path) -> bool:
    """Return whether a folder is one of dictionary_learning, to judge by its files' names."""
    return all((path / name).is_file() for name in (CONFIG, NUMBERS))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a config says of its class."""

    where: Path
    named: str
    trainer: dict[str, Any]
    kept: dict[str, Any]

    @property
    def kind(self) -> str:
        """Return our kind of the class."""
        return _KINDS[self.named]

    def k(self, numbers: Numbers) -> int:
        """Return k, on which config and numbers must agree where both have it, as the package's own loader wants it."""
        k = whole(self.where, self.trainer, "k")
        if "k" in numbers and int(numbers.take("k")) != k:
            raise damaged(self.where, f"k is {k} here and another number in {NUMBERS}")
        return k


def read(path: Path) -> Imported:
    """Return the dictionary of a dictionary_learning folder; raise FileFormatError for a damaged one or an unknown class."""
    where = path / CONFIG
    config = read_config(where)
    trainer, kept = section(where, config, "trainer"), section(where, config, KEPT)
    named = text(trainer, "dict_class")
    if named not in _KINDS:
        what = f"is of the class '{shown(named)}'" if named else "does not name the dict_class of its trainer"
        raise FileFormatError(f"'{where}' {what}; those that can be read are {', '.join(_KINDS)}")
    asked, remarks = _Asked(where, named, trainer, kept), list[str]()
    found, rest = torch_numbers(path / NUMBERS)
    with found as numbers:
        dictionary = _READERS[asked.kind](asked, numbers, _weights(asked, numbers))
        if asked.kind == "topk" and "threshold" in numbers and (threshold := float(numbers.take("threshold"))) >= 0:
            remarks.append(f"its threshold of {threshold:g}, for those who ask for one instead of k, is not carried")
        left = tuple(sorted({*numbers.left(), *rest} - {"k"}))
    layer, site = trainer.get("layer"), site_of(section(where, kept, "facts").get("site"))
    if site is None and type(layer) is int and (site := site_of(f"blocks.{layer}.hook_resid_post")):
        remarks.append(f"the Site is taken to be where block {layer} ends, since only its layer is said")
    told = Told(text(trainer, "lm_name"), site, None, config, kept, left)
    return imported(dictionary, NAME, path, told, remarks)


def _weights(asked: _Asked, numbers: Numbers) -> Weights:
    """Return matrices and biases in our convention; raise FileFormatError where their sizes are not those of the config."""
    named, (d_in, n) = asked.named, (whole(asked.where, asked.trainer, key) for key in ("activation_dim", "dict_size"))
    if named in _BY_ROWS:
        encoder, decoder, b_enc = numbers.take("W_enc", d_in, n).T, numbers.take("W_dec", n, d_in), "b_enc"
    else:
        encoder, decoder = numbers.take("encoder.weight", n, d_in), numbers.take("decoder.weight", d_in, n).T
        b_enc = "gate_bias" if named == "GatedAutoEncoder" else "encoder.bias"
    weights = Weights(encoder, numbers.take(b_enc, n), decoder, numbers.take(_BIASES.get(named, "b_dec"), d_in))
    return weights if named in _UNCENTERED else weights.uncentered()


def _standard(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    return built(asked.where, "standard", weights, kept_settings(asked.kept, "standard"))


def _gated(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    n = weights.sizes[1]
    r_mag, b_mag = numbers.take("r_mag", n), numbers.take("mag_bias", n)
    shifted = b_mag.double() - weights.offset * r_mag.double().exp()
    return built(asked.where, "gated", weights, {}, {"r_mag": r_mag, "b_mag": shifted})


def _topk(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    return built(asked.where, "topk", weights, {"k": asked.k(numbers)})


def _batchtopk(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    settings: dict[str, Any] = {"k": asked.k(numbers)}
    if asked.kind == "matryoshka-batchtopk":
        (n_groups,) = numbers.shape("group_sizes", 1)
        settings["sizes"] = numbers.take("group_sizes", n_groups).long().cumsum(0).tolist()
    return built(asked.where, asked.kind, weights, settings, {"threshold": reached(numbers.take("threshold"))})


def _jumprelu(asked: _Asked, numbers: Numbers, weights: Weights) -> Dictionary:
    more = {"log_threshold": log_thresholds(numbers.take("threshold", weights.sizes[1]))}
    return built(asked.where, "jumprelu", weights, kept_settings(asked.kept, "jumprelu"), more)


_READERS: dict[str, Callable[[_Asked, Numbers, Weights], Dictionary]] = {
    "standard": _standard,
    "gated": _gated,
    "topk": _topk,
    "batchtopk": _batchtopk,
    "matryoshka-batchtopk": _batchtopk,
    "jumprelu": _jumprelu,
}


def write(dictionary: Dictionary, out: Path) -> Exported:
    """Write a dictionary as dictionary_learning does; raise DictionaryError for a kind that it has no class for."""
    if dictionary.kind not in _CLASSES:
        raise no_word_for(dictionary, NAME, f"classes for {', '.join(_CLASSES)}")
    named = _CLASSES[dictionary.kind]
    tensors = as_float32(_tensors(dictionary, named)) | _whole_numbers(dictionary, named)
    layer = layer_of(dictionary.facts.get("site"))
    trainer: dict[str, Any] = {
        "trainer_class": _TRAINERS[named],
        "dict_class": named,
        "activation_dim": dictionary.d_in,
        "dict_size": dictionary.n_features,
        "layer": layer,
        "lm_name": model_name(dictionary),
        "submodule_name": dictionary.facts.get("site"),
    }
    if isinstance(k := dictionary.settings.get("k"), int):
        trainer["k"] = k
    packed = io.BytesIO()
    torch.save(tensors, packed)
    with new_folder(out) as folder:
        write_bytes(folder / NUMBERS, packed.getvalue())
        write_json(
            folder / CONFIG, {"trainer": trainer, "buffer": {"d_submodule": dictionary.d_in}, KEPT: kept_of(dictionary)}
        )
    site, remarks = dictionary.facts.get("site"), list[str]()
    if layer is None or hook_of(site)[0] != f"blocks.{layer}.hook_resid_post":
        remarks.append(
            f"its readers take a dictionary to read where a block ends, and this one reads {site or 'nobody said where'}"
        )
    return Exported(out, NAME, (CONFIG, NUMBERS), tuple(remarks))


def _tensors(dictionary: Dictionary, named: str) -> dict[str, Tensor]:
    """Return the numbers under the names of a class, in its convention."""
    own, weights = Weights.of(dictionary), Weights.of(dictionary)
    if named not in _UNCENTERED:
        weights = weights.centered()
    if named in _BY_ROWS:
        found = {"W_enc": weights.encoder.T, "b_enc": weights.b_enc, "W_dec": weights.decoder}
    else:
        b_enc = "gate_bias" if named == "GatedAutoEncoder" else "encoder.bias"
        found = {"encoder.weight": weights.encoder, b_enc: weights.b_enc, "decoder.weight": weights.decoder.T}
    found[_BIASES.get(named, "b_dec")] = weights.b_dec
    state = dictionary.state_dict()
    if named == "GatedAutoEncoder":
        shift = own.offset * state["r_mag"].double().exp()
        found |= {"r_mag": state["r_mag"], "mag_bias": state["b_mag"].double() + shift}
    if named == "JumpReluAutoEncoder":
        found["threshold"] = state["log_threshold"].exp()
    if isinstance(dictionary, BatchTopK):
        found["threshold"] = exceeded(dictionary.threshold)
    elif named == "AutoEncoderTopK":
        # Its own mark of a threshold that was never measured.
        found["threshold"] = torch.tensor(-1.0)
    return found


def _whole_numbers(dictionary: Dictionary, named: str) -> dict[str, Tensor]:
    """Return what a class holds besides that is no float."""
    found = {}
    if isinstance(k := dictionary.settings.get("k"), int) and named != "JumpReluAutoEncoder":
        found["k"] = torch.tensor(k, dtype=torch.int32)
    if isinstance(dictionary, MatryoshkaBatchTopK):
        edges = [0, *dictionary.sizes]
        found["group_sizes"] = torch.tensor([stop - start for start, stop in pairwise(edges)])
    return found
