"""Write `tests/golden/dictionaries_sparsify.json`: what sparsify makes of our dictionaries, and of its own.

Needs eai-sparsify, but no network: `python make_dictionaries_sparsify.py`. `make oracles` runs it.
"""

from importlib.metadata import version
from typing import Any

import torch
from dictionary_cases import D_IN, N_FEATURES, draw, empty_folder, inputs, ours, tried, write
from sparsify import SparseCoder
from sparsify.config import SparseCoderConfig

NAME = "sparsify"
MADE = {
    "layers.4": SparseCoderConfig(num_latents=N_FEATURES, k=3),
    "layers.5": SparseCoderConfig(expansion_factor=3, k=4),
    "layers.6": SparseCoderConfig(num_latents=N_FEATURES, k=3, skip_connection=True),
    "layers.4.mlp": SparseCoderConfig(num_latents=N_FEATURES, k=3, transcode=True),
    "layers.5.mlp": SparseCoderConfig(num_latents=N_FEATURES, k=3, transcode=True, skip_connection=True),
}


def tried_on(coder: SparseCoder, x: torch.Tensor) -> dict[str, Any]:
    """Return what a coder makes of the inputs, its features spread over all."""
    found = coder.encode(x)
    features = torch.zeros(len(x), coder.num_latents).scatter(-1, found.top_indices, found.top_acts)
    return tried(features, coder(x).sae_out)


def save(x: torch.Tensor) -> dict[str, Any]:
    """Save coders of every form, and return what each makes of the inputs."""
    found = {}
    for seed, (name, config) in enumerate(MADE.items()):
        coder = SparseCoder(D_IN, config)
        draw(coder, seed)
        coder.save_to_disk(empty_folder(NAME, name))
        found[name] = tried_on(coder, x)
    return found


def main() -> None:
    """Read, save and write down."""
    x = inputs()
    with torch.no_grad():
        read = {folder.name: tried_on(SparseCoder.load_from_disk(folder), x) for folder in ours(NAME)}
        wrote = save(x)
    made_by = {name: version(name) for name in ("eai-sparsify", "torch")}
    write("dictionaries_sparsify.json", made_by, read, wrote)


if __name__ == "__main__":
    main()
