"""Write `tests/golden/dictionaries_saelens.json`: what SAELens makes of the dictionaries we wrote, and of those it wrote itself.

Needs sae-lens, but no network: `python make_dictionaries_sae_lens.py`. `make oracles` runs it.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from dictionary_cases import D_IN, D_OUT, N_FEATURES, draw, empty_folder, inputs, ours, tried, write
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, MatryoshkaBatchTopKTrainingSAE
from sae_lens import MatryoshkaBatchTopKTrainingSAEConfig as MatryoshkaConfig
from sae_lens.saes.sae import SAEMetadata

NAME = "saelens"
SIZES = {"d_in": D_IN, "d_sae": N_FEATURES}
TRANSCODER = SIZES | {"d_out": D_OUT, "apply_b_dec_to_input": False}

# What a config says besides the sizes, by the name of its folder.
SAVED: dict[str, dict[str, Any]] = {
    "standard": {"architecture": "standard", **SIZES},
    "standard-uncentered": {"architecture": "standard", "apply_b_dec_to_input": False, **SIZES},
    "standard-scaled": {"architecture": "standard", "normalize_activations": "expected_average_only_in", **SIZES},
    "gated": {"architecture": "gated", **SIZES},
    "gated-uncentered": {"architecture": "gated", "apply_b_dec_to_input": False, **SIZES},
    "topk": {"architecture": "topk", "k": 3, **SIZES},
    "topk-weighed": {"architecture": "topk", "k": 3, "rescale_acts_by_decoder_norm": True, **SIZES},
    "jumprelu": {"architecture": "jumprelu", **SIZES},
    "jumprelu-uncentered": {"architecture": "jumprelu", "apply_b_dec_to_input": False, **SIZES},
    "transcoder": {"architecture": "transcoder", **TRANSCODER},
    "skip-transcoder": {"architecture": "skip_transcoder", **TRANSCODER},
    "jumprelu-transcoder": {"architecture": "jumprelu_transcoder", **TRANSCODER},
    "jumprelu-skip-transcoder": {"architecture": "jumprelu_skip_transcoder", **TRANSCODER},
}
METADATA = {"model_name": "gpt2", "hook_name": "blocks.5.hook_resid_pre", "prepend_bos": True}


def save_for_use(x: torch.Tensor) -> dict[str, Any]:
    """Save one of every inference class, and return what each makes of the inputs."""
    found = {}
    for seed, (name, config) in enumerate(SAVED.items()):
        metadata = METADATA | ({"hook_name_out": "blocks.5.hook_mlp_out"} if "d_out" in config else {})
        sae = SAE.from_dict(config | {"metadata": metadata})
        draw(sae, seed)
        sae.save_model(empty_folder(NAME, name))
        found[name] = tried(sae.encode(x), sae(x))
    return found


def save_trained(x: torch.Tensor) -> dict[str, Any]:
    """Save what is trained with top-k over batches, for use and as a training; both are used with their threshold."""
    found = {}
    batched = (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig(k=3, **SIZES))
    nested = (MatryoshkaBatchTopKTrainingSAE, MatryoshkaConfig(k=2.5, matryoshka_widths=[6, 12], **SIZES))
    for seed, (name, (made, config)) in enumerate({"batchtopk": batched, "matryoshka-batchtopk": nested}.items()):
        config.metadata = SAEMetadata(**METADATA)
        training = made(config)
        draw(training, 100 + seed, threshold=0.7)
        for_use = empty_folder(NAME, f"{name}-for-use")
        training.save_inference_model(for_use)
        training.save_model(empty_folder(NAME, f"{name}-training"))
        used = SAE.load_from_disk(for_use)
        assert used.cfg.architecture() == "jumprelu"
        found[f"{name}-for-use"] = found[f"{name}-training"] = tried(used.encode(x), used(x))
    return found


def read_ours(folder: Path, x: torch.Tensor) -> dict[str, Any]:
    """Return what SAELens makes of a folder of ours."""
    sae = SAE.load_from_disk(folder)
    assert sae.cfg.metadata.model_name == "a-model" and sae.cfg.metadata.hook_name.startswith("blocks.3.")
    return tried(sae.encode(x), sae(x))


def main() -> None:
    """Read, save and write down."""
    x = inputs()
    with torch.no_grad():
        read = {folder.name: read_ours(folder, x) for folder in ours(NAME)}
        wrote = save_for_use(x) | save_trained(x)
    made_by = {name: version(name) for name in ("sae-lens", "transformer-lens", "torch")}
    write("dictionaries_saelens.json", made_by, read, wrote)


if __name__ == "__main__":
    main()
