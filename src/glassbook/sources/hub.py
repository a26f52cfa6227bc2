"""A model's folder from the Hugging Face hub: weights as safetensors, its configuration and tokenizer, nothing else."""

import io
from pathlib import Path
from typing import Any

import huggingface_hub

from glassbook.core.errors import SourceError
from glassbook.files.hashes import Progress

WANTED = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "LICENSE*",
)
"""What is fetched; pickled weights (.bin, .pt) never are."""


def fetch_hub_model(repo_id: str, revision: str | None = None, progress: Progress | None = None) -> Path:
    """Return the local folder of a hub model, fetched into the hub's own cache; `HF_HUB_OFFLINE` is respected.

    Raises SourceError when the model cannot be had or brings no safetensors weights.
    """
    bar = {"tqdm_class": _reporting_bar(repo_id, progress)} if progress else {}
    try:
        folder = huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=list(WANTED), **bar)
    except (huggingface_hub.errors.HFValidationError, OSError) as fault:
        raise SourceError(_sentence(repo_id, revision, fault)) from fault
    if not any(Path(folder).glob("*.safetensors")):
        raise SourceError(
            f"'{repo_id}' on the hub has no safetensors weights; choose a model or revision that has them"
        )
    return Path(folder)


def _sentence(repo_id: str, revision: str | None, fault: Exception) -> str:
    errors = huggingface_hub.errors
    name = f"'{repo_id}'" + (f" at revision '{revision}'" if revision else "")
    if isinstance(fault, errors.HFValidationError):
        return f"{name} is no name of a hub model; write owner/model, or the path of a folder or file that is here"
    if isinstance(fault, errors.GatedRepoError):
        return f"{name} is gated on the hub; accept its terms there and log in with 'hf auth login'"
    if isinstance(fault, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        return f"the hub has no model {name} that you may read; check the spelling, or log in with 'hf auth login'"
    return (
        f"{name} is not in the hub's cache and could not be fetched (no network, or HF_HUB_OFFLINE is set); "
        f"run this again with a network, or get it elsewhere with 'hf download {repo_id}' and give the folder's path"
    )


def _reporting_bar(repo_id: str, progress: Progress) -> Any:
    """Return a class of progress bars that print nothing and report the bytes of all of them as one."""
    most = {"done": 0, "total": 0}

    class ReportingBar(huggingface_hub.utils.tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            # The hub's own beginning is passed over, since it switches every bar off where bars are not wanted.
            super(huggingface_hub.utils.tqdm, self).__init__(  # type: ignore[misc, attr-defined]
                *arguments, **{**options, "file": io.StringIO(), "disable": False}
            )

        def update(self, n: float | int | None = 1) -> Any:
            shown = super().update(n)
            if self.unit == "B" and self.total:
                most["done"] = max(most["done"], int(self.n))
                most["total"] = max(most["total"], int(self.total), most["done"])
                progress(f"fetching {repo_id}", most["done"], most["total"])
            return shown

    return ReportingBar
