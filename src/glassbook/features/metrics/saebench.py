"""Our numbers in the shape of SAEBench's results, so that its tables and ours can stand beside each other.

Its three kinds that we measure: core, sparse probing and first-letter absorption. What it calls the SAE is our dictionary, and
its LLM the stream.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from glassbook.features.metrics.absorption import MEASURED
from glassbook.features.metrics.first_letters import of_letters
from glassbook.features.metrics.pooling import STREAM
from glassbook.features.metrics.probing import ALL, FEATURES
from glassbook.views.view import plain

if TYPE_CHECKING:
    from glassbook.features.evaluating import Evaluation
    from glassbook.features.metrics.first_letters import Absorption
    from glassbook.features.metrics.in_model import InModel
    from glassbook.features.metrics.probing import Probing

TYPE, PROBING, ABSORPTION = "core", "sparse_probing", "absorption_first_letter"
_TEMPLATE, _PLACE = "{word} has the first letter:", -6
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
    metrics = _reconstruction(evaluation) | _in_model(evaluation.in_model) | _counts(evaluation)
    densities = [{"index": number, "feature_density": one} for number, one in enumerate(evaluation.densities.tolist())]
    return _document(TYPE, about, facts, metrics, densities)


def probing_results(probing: "Probing") -> dict[str, Any]:
    """Return sparse probing under SAEBench's names; what was measured at a k that it does not have keeps the pattern."""
    settings = probing.facts["settings"]
    names = [one["name"] for one in probing.facts["data"]]
    about = {
        "model_name": probing.facts["weights"].get("name", ""),
        "random_seed": settings["seed"],
        "dataset_names": names,
        "probe_train_set_size": settings["n_train"],
        "probe_test_set_size": settings["n_test"],
        "context_length": settings["context"],
        "llm_dtype": probing.facts["weights"].get("dtype", ""),
        "k_values": list(settings["ks"]),
    }
    every = [_accuracies(one, settings["ks"]) for one in (probing, *(probing.on(name) for name in names))]
    details = [{"dataset_name": name, **one["llm"], **one["sae"]} for name, one in zip(names, every[1:], strict=True)]
    return _document(PROBING, about, probing.facts, every[0], details)


def absorption_results(absorption: "Absorption") -> dict[str, Any]:
    """Return absorption under SAEBench's names, of the letters that could be measured; -1 where there are too few of them."""
    settings, weights = absorption.facts["settings"], absorption.facts["weights"]
    about = {
        "model_name": weights.get("name", ""),
        "random_seed": settings["seed"],
        "f1_jump_threshold": settings["gain"],
        "max_k_value": settings["most_split"],
        "prompt_template": _TEMPLATE,
        "prompt_token_pos": _PLACE,
        "llm_dtype": weights.get("dtype", ""),
        "min_GT_probe_f1": settings["bar"],
        "min_feats_for_eval": settings["fewest"],
    }
    told = {
        "absorption_fraction_score": of_letters(absorption.letters, "absorption_fraction"),
        "full_absorption_score": of_letters(absorption.letters, "full_absorption"),
        "num_split_features": of_letters(absorption.letters, "n_split_features"),
    }
    means = {f"mean_{name}": mean(values) if values else _MISSING for name, values in told.items()}
    spreads = {f"std_dev_{name}": stdev(values) if len(values) > 1 else _MISSING for name, values in told.items()}
    details = [
        {
            "first_letter": one.letter,
            "mean_absorption_fraction": one.absorption_fraction,
            "full_absorption_rate": one.full_absorption,
            "num_full_absorption": len(one.absorbed),
            "num_probe_true_positives": one.n_right,
            "num_split_features": len(one.split_features),
        }
        for one in absorption.letters
        if one.state == MEASURED
    ]
    return _document(ABSORPTION, about, absorption.facts, {"mean": means | spreads}, details)


def _document(
    kind: str, about: Mapping[str, Any], facts: Mapping[str, Any], metrics: Mapping[str, Any], details: Sequence[Any]
) -> dict[str, Any]:
    document = {
        "eval_type_id": kind,
        "eval_config": about,
        "eval_id": "",
        "datetime_epoch_millis": int(time.time() * 1000),
        "eval_result_metrics": metrics,
        "eval_result_details": details,
        "sae_bench_commit_hash": "",
        "sae_lens_id": None,
        "sae_lens_release_id": None,
        "sae_lens_version": None,
        "sae_cfg_dict": {"architecture": facts["kind"], "d_sae": facts["n_features"], "hook_name": facts["site"]},
    }
    return dict(plain(document))


def _accuracies(probing: "Probing", ks: Sequence[int]) -> dict[str, dict[str, float | None]]:
    of_stream = {f"llm_top_{k}_test_accuracy": probing.mean(STREAM, k) for k in ks}
    return {
        "llm": {"llm_test_accuracy": probing.mean(STREAM, ALL), **of_stream},
        "sae": {f"sae_top_{k}_test_accuracy": probing.mean(FEATURES, k) for k in ks},
    }


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
