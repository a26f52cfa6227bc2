"""Write `tests/golden/dictionaries_dictionary_learning.json`: what that package makes of our dictionaries, and of its own.

Needs dictionary-learning, but no network: `python make_dictionaries_dictionary_learning.py`. `make oracles` runs it.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from dictionary_cases import D_IN, N_FEATURES, draw, empty_folder, inputs, ours, tried, write
from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
from dictionary_learning.trainers.top_k import AutoEncoderTopK
from dictionary_learning.utils import load_dictionary

NAME = "dictionary_learning"
K = 3
MADE = {
    "autoencoder": AutoEncoder(D_IN, N_FEATURES),
    "autoencoder-new": AutoEncoderNew(D_IN, N_FEATURES),
    "gated": GatedAutoEncoder(D_IN, N_FEATURES),
    "topk": AutoEncoderTopK(D_IN, N_FEATURES, K),
    "batchtopk": BatchTopKSAE(D_IN, N_FEATURES, K),
    "batchtopk-untrained": BatchTopKSAE(D_IN, N_FEATURES, K),
    "matryoshka": MatryoshkaBatchTopKSAE(D_IN, N_FEATURES, K, [4, 8, 12]),
    "jumprelu": JumpReluAutoEncoder(D_IN, N_FEATURES),
}
THRESHOLDS = {"batchtopk": 0.7, "matryoshka": 0.7, "batchtopk-untrained": -1.0, "topk": -1.0}


def save(x: torch.Tensor) -> dict[str, Any]:
    """Save one of every class as its trainer does, and return what each makes of the inputs."""
    found = {}
    for seed, (name, made) in enumerate(MADE.items()):
        draw(made, seed, THRESHOLDS.get(name))
        folder = empty_folder(NAME, name)
        torch.save({key: value.cpu() for key, value in made.state_dict().items()}, folder / "ae.pt")
        trainer = {
            "trainer_class": "a trainer",
            "dict_class": type(made).__name__,
            "activation_dim": D_IN,
            "dict_size": N_FEATURES,
            "layer": 7,
            "lm_name": "EleutherAI/pythia-70m-deduped",
            "submodule_name": "resid_post_layer_7",
        } | ({"k": K} if hasattr(made, "k") else {})
        (folder / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 128}}, indent=4))
        found[name] = tried(made.encode(x), made(x))
    return found


def read_ours(folder: Path, x: torch.Tensor) -> dict[str, Any]:
    """Return what the package makes of a folder of ours, opened by its own loader."""
    made, config = load_dictionary(str(folder), "cpu")
    assert config["trainer"]["lm_name"] == "a-model" and config["trainer"]["layer"] == 3
    return tried(made.encode(x), made(x))


def main() -> None:
    """Read, save and write down."""
    x = inputs()
    with torch.no_grad():
        read = {folder.name: read_ours(folder, x) for folder in ours(NAME)}
        wrote = save(x)
    made_by = {name: version(name) for name in ("dictionary-learning", "torch")}
    write("dictionaries_dictionary_learning.json", made_by, read, wrote)


if __name__ == "__main__":
    main()
