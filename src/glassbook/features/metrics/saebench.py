"""An evaluation in the shape of SAEBench's core results, so that its tables and ours can stand beside each other."""

import time
from typing import TYPE_CHECKING, Any

from glassbook.views.view import plain

if TYPE_CHECKING:
    from glassbook.features.evaluating import Evaluation
    from glassbook.features.metrics.in_model import InModel

TYPE = "core"
_MISSING = -1.0


def core_results(evaluation: "Evaluation") -> dict[str, Any]:
    """Return an evaluation under SAEBench's names; -1 stands there for what was not measured, as it does in SAEBench's own."""
    facts = evaluation.facts
    about = {
        "model_name": facts["weights"].get("name", ""),
        "dataset": facts["corpus"]["name"],
        "context_size": facts["harvest"].get("context", 0),
        "n_eval_reconstruction_batches": facts["settings"]["loss_contexts"],
        "exclude_special_tokens_from_reconstruction": True,
        "verbose": False,
    }
    document = {
        "eval_type_id": TYPE,
        "eval_config": about,
        "eval_id": "",
        "datetime_epoch_millis": int(time.time() * 1000),
        "eval_result_metrics": _reconstruction(evaluation) | _in_model(evaluation.in_model) | _counts(evaluation),
        "eval_result_details": [
            {"index": number, "feature_density": density}
            for number, density in enumerate(evaluation.densities.tolist())
        ],
        "sae_bench_commit_hash": "",
        "sae_lens_id": None,
        "sae_lens_release_id": None,
        "sae_lens_version": None,
        "sae_cfg_dict": {"architecture": facts["kind"], "d_sae": facts["n_features"], "hook_name": facts["site"]},
    }
    return dict(plain(document))


def _reconstruction(evaluation: "Evaluation") -> dict[str, Any]:
    one = evaluation.reconstruction
    return {
        "reconstruction_quality": {
            "explained_variance": one.explained_variance,
            "explained_variance_legacy": one.explained_variance_by_token,
            "mse": one.mse,
            "cossim": one.cosine,
        },
        "shrinkage": {
            "l2_norm_in": one.l2_norm_in,
            "l2_norm_out": one.l2_norm_out,
            "l2_ratio": one.l2_ratio,
            "relative_reconstruction_bias": one.relative_reconstruction_bias,
        },
        "sparsity": {"l0": one.l0, "l1": one.l1},
        "misc_metrics": {"frac_alive": 1 - one.dead},
    }


def _in_model(loss: "InModel | None") -> dict[str, Any]:
    return {
        "model_behavior_preservation": {
            "kl_div_score": _MISSING if loss is None else loss.kl_score(),
            "kl_div_with_ablation": _MISSING if loss is None else loss.kl_zero,
            "kl_div_with_sae": _MISSING if loss is None else loss.kl_spliced,
        },
        "model_performance_preservation": {
            "ce_loss_score": _MISSING if loss is None else loss.ce_score(),
            "ce_loss_with_ablation": _MISSING if loss is None else loss.ce_zero,
            "ce_loss_with_sae": _MISSING if loss is None else loss.ce_spliced,
            "ce_loss_without_sae": _MISSING if loss is None else loss.ce,
        },
    }


def _counts(evaluation: "Evaluation") -> dict[str, Any]:
    loss = evaluation.in_model
    return {
        "token_stats": {
            "total_tokens_eval_reconstruction": _MISSING if loss is None else loss.n_predictions,
            "total_tokens_eval_sparsity_variance": evaluation.reconstruction.n_tokens,
        }
    }
