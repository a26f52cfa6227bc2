"""Write `tests/golden/evaluation_sae_lens.json`: what SAELens's own evaluation says of dictionaries on the shared inputs.

Needs sae-lens, but no network: `python make_evaluation_sae_lens.py`. `make oracles` runs it, after the dictionaries are written.
"""

from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import torch
from dictionary_cases import FOLDERS, GOLDEN, inputs
from golden_text import compact
from sae_lens import SAE
from sae_lens.evals import get_sparsity_and_variance_metrics
from sae_lens.training.activation_scaler import ActivationScaler

NAMES = ("standard", "gated", "topk", "jumprelu", "batchtopk-for-use")
EVERYTHING = {
    "compute_l2_norms": True,
    "compute_sparsity_metrics": True,
    "compute_variance_metrics": True,
    "compute_featurewise_density_statistics": True,
}


def measured(name: str, x: torch.Tensor) -> dict[str, Any]:
    """Return SAELens's numbers for a dictionary that it wrote, where a model's activations are the inputs."""
    sae = SAE.load_from_disk(FOLDERS / "saelens" / name)
    model = SimpleNamespace(run_with_cache=lambda *_given, **_more: (None, {sae.cfg.metadata.hook_name: x[None]}))
    store = SimpleNamespace(get_batch_tokens=lambda _size: torch.zeros(1, len(x), dtype=torch.long))
    reading = {"n_batches": 1, "eval_batch_size_prompts": 1, "model_kwargs": {}}
    found, by_feature = get_sparsity_and_variance_metrics(
        sae, model, store, ActivationScaler(), **EVERYTHING, **reading
    )
    return found | {"feature_density": by_feature["feature_density"]}


def main() -> None:
    """Measure and write down."""
    with torch.no_grad():
        found = {name: measured(name, inputs()) for name in NAMES}
    made_by = {name: version(name) for name in ("sae-lens", "torch")}
    (GOLDEN / "evaluation_sae_lens.json").write_text(compact({"made_by": made_by, "measured": found}))


if __name__ == "__main__":
    main()
