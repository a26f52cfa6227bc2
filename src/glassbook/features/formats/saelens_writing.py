"""SAELens, written: the folder that `SAE.load_from_disk` of its version 6 opens, with the same outputs.

BatchTopK and matryoshka are written as that package saves them for use: as JumpReLU with one threshold for all features.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import Dictionary
from glassbook.features.formats.hooks import has_heads, hook_of
from glassbook.features.formats.outcome import KEPT, Exported, kept_of, model_name
from glassbook.features.formats.saelens_reading import BATCHED, CONFIG, NAME, NUMBERS
from glassbook.features.formats.weights import Weights, exceeded, features_of
from glassbook.features.formats.writing import new_folder, no_word_for, write_numbers
from glassbook.features.gated import Gated
from glassbook.features.jumprelu import JumpReLU
from glassbook.features.matryoshka import MatryoshkaBatchTopK
from glassbook.features.transcoder import SkipTranscoder, Transcoder
from glassbook.files.atomic import write_json

VERSION = "6.54.12"
"""Of the package whose format this is; its loader goes by this number."""

_UNPROCESSED = {"fold_ln": False, "center_writing_weights": False, "center_unembed": False}
"""How its models must be opened for activations to be as the weights have them."""

_HAS = (
    "standard, gated, topk, batchtopk, matryoshka-batchtopk and jumprelu, and transcoders with features of all these but gated "
    "and topk"
)


def write(dictionary: Dictionary, out: Path) -> Exported:
    """Write a dictionary as a SAELens folder; raise DictionaryError for a kind that SAELens has no word for."""
    architecture = _architecture(dictionary)
    tensors, features = _tensors(dictionary), features_of(dictionary)
    d_in, n, d_out = Weights.of(dictionary).sizes
    remarks: list[str] = []
    if "site" not in dictionary.facts:
        remarks.append("where the dictionary reads is not known, so that SAELens must be told the hook name")
    hook, head = hook_of(dictionary.facts.get("site"))
    site = dictionary.facts.get("site") if hook else None
    is_by_head = has_heads(site) and not isinstance(dictionary, Transcoder)
    config: dict[str, Any] = {
        "architecture": architecture,
        "d_in": d_in,
        "d_sae": n,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if is_by_head and hook and hook.endswith("_z") else "none",
    }
    if isinstance(dictionary, Transcoder):
        config["d_out"] = d_out
    if features.kind == "topk":
        config |= {"k": features.settings["k"], "rescale_acts_by_decoder_norm": False}
    config["metadata"] = _metadata(dictionary, hook, head)
    with new_folder(out) as folder:
        write_numbers(folder / NUMBERS, tensors)
        write_json(folder / CONFIG, config)
    if isinstance(features, BatchTopK):
        remarks.append(
            "its threshold is written as that of a JumpReLU, as SAELens itself saves such dictionaries for use"
        )
    return Exported(out, NAME, (CONFIG, NUMBERS), tuple(remarks))


def _architecture(dictionary: Dictionary) -> str:
    """Return SAELens's word for a kind; raise DictionaryError where it has none."""
    features = features_of(dictionary)
    is_thresholded = isinstance(features, BatchTopK | JumpReLU)
    if isinstance(dictionary, Transcoder):
        if not is_thresholded and features.kind != "standard":
            raise no_word_for(dictionary, "SAELens", _HAS)
        return ("jumprelu_" if is_thresholded else "") + dictionary.kind.replace("-", "_")
    if is_thresholded:
        return "jumprelu"
    if features.kind not in ("standard", "gated", "topk"):
        raise no_word_for(dictionary, "SAELens", _HAS)
    return features.kind


def _tensors(dictionary: Dictionary) -> dict[str, Tensor]:
    """Return the numbers under SAELens's names."""
    weights, features = Weights.of(dictionary), features_of(dictionary)
    found = {"W_enc": weights.encoder.T, "W_dec": weights.decoder, "b_dec": weights.b_dec}
    found["b_gate" if isinstance(features, Gated) else "b_enc"] = weights.b_enc
    if isinstance(features, Gated):
        found |= {"r_mag": features.r_mag, "b_mag": features.b_mag}
    if isinstance(features, JumpReLU):
        found["threshold"] = features.threshold
    if isinstance(features, BatchTopK):
        found["threshold"] = exceeded(features.threshold).expand(dictionary.n_features)
    if isinstance(dictionary, SkipTranscoder):
        found["W_skip"] = dictionary.W_skip.T
    return {name: torch.Tensor(value.detach()) for name, value in found.items()}


def _metadata(dictionary: Dictionary, hook: str | None, head: int | None) -> dict[str, Any]:
    """Return what SAELens keeps beside its settings, and ours under a key of our own."""
    facts, features = dictionary.facts, features_of(dictionary)
    harvest, corpus = (known if isinstance(known := facts.get(key), dict) else {} for key in ("harvest", "corpus"))
    written, written_head = hook_of(facts.get("site_out"))
    found: dict[str, Any] = {
        "sae_lens_version": VERSION,
        "sae_lens_training_version": None,
        "model_name": model_name(dictionary),
        "model_class_name": "HookedTransformer",
        "model_from_pretrained_kwargs": _UNPROCESSED,
        "hook_name": hook,
        "hook_head_index": head,
        "context_size": harvest.get("context"),
        "dataset_path": corpus.get("name"),
        "training_architecture": {ours: theirs for theirs, ours in BATCHED.items()}.get(features.kind, features.kind),
        KEPT: kept_of(dictionary),
    }
    if isinstance(dictionary, Transcoder):
        found |= {"hook_name_out": written, "hook_head_index_out": written_head}
    if isinstance(features, BatchTopK):
        found["training_architecture_details"] = {"k": features.k} | (
            {"matryoshka_widths": list(features.sizes)} if isinstance(features, MatryoshkaBatchTopK) else {}
        )
    return found
