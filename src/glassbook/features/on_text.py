"""A dictionary on some text of a model: how dense its features are there, how large, and how much of the variance it explains.

A glance, for controls and for weights in another precision; the metrics proper are those of an evaluation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.activations.store.packing import start_id
from glassbook.activations.store.settings import Harvest
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.belonging import policy_of
from glassbook.features.dictionary import Dictionary
from glassbook.models.model import Model
from glassbook.text.corpora import open_corpus

_ROWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OnText:
    """What was counted over `n_tokens`: the share of them at which each feature is active, its largest value, and the
    explained variance: 1 - summed squared error over the summed squares around the mean activation.
    """

    n_tokens: int
    densities: Float[Tensor, " n_features"]
    largest: Float[Tensor, " n_features"]
    explained_variance: float


@torch.inference_mode()
def on_text(model: Model, dictionary: Dictionary, sites: tuple[Site, Site], windows: Sequence[Sequence[int]]) -> OnText:
    """Return what a dictionary does on windows of ids; the first token of each is left out, as attention sinks stand there.

    Raises InputError for windows without a second token.
    """
    counts, largest = torch.zeros(dictionary.n_features), torch.zeros(dictionary.n_features)
    written, errors = [], torch.zeros((), dtype=torch.float64)
    for x, y in _rows(model, dictionary, sites, windows):
        features = dictionary.encode(x)
        counts += (features != 0).sum(0).cpu()
        largest = torch.maximum(largest, features.abs().amax(0).float().cpu())
        decoded, past = dictionary.decode(features), dictionary.skip(x)
        errors += (y - (decoded if past is None else decoded + past)).double().square().sum().cpu()
        written.append(y.cpu())
    whole = torch.cat(written).double()
    return OnText(
        n_tokens=len(whole),
        densities=counts / len(whole),
        largest=largest,
        explained_variance=float(1 - errors / (whole - whole.mean(0)).square().sum()),
    )


def corpus_windows(
    model: Model, dictionary: Dictionary, corpus: str, n_windows: int = 16, length: int = 128
) -> list[list[int]]:
    """Return windows of ids from the beginning of a corpus, behind the start token if the dictionary's harvest put one there.

    Raises InputError for a model without a tokenizer, and for a corpus of less text.
    """
    if model.tokenizer is None:
        raise InputError(f"{model.identity.name} has no tokenizer, so no text can be read; open a model that has one")
    policy = policy_of(dictionary)
    start = None if policy is None else start_id(model.tokenizer, Harvest(policy=policy))
    head = [] if start is None else [start]
    size, ids = min(length, model.config.n_ctx - 1) - len(head), list[int]()
    for document in open_corpus(corpus):
        ids += model.tokenizer.encode(document)
        if len(ids) >= n_windows * size:
            return [[*head, *ids[i * size : (i + 1) * size]] for i in range(n_windows)]
    raise InputError(f"{corpus} has {len(ids)} tokens, fewer than {n_windows} windows of {size}; give more text")


def _rows(
    model: Model, dictionary: Dictionary, sites: tuple[Site, Site], windows: Sequence[Sequence[int]]
) -> Iterator[tuple[Float[Tensor, "n d_in"], Float[Tensor, "n d_out"]]]:
    """Yield what the dictionary reads and what stands where it writes, some windows at a time."""
    if min(map(len, windows), default=0) < 2:
        raise InputError("a window has one token at most, and the first is left out; give longer ones")
    for first in range(0, len(windows), _ROWS_AT_ONCE):
        batch = model.read([list(window) for window in windows[first : first + _ROWS_AT_ONCE]])
        values = capture(model, batch, list(dict.fromkeys(sites)))
        kept = model.span(batch).is_real[:, 1:]
        x, y = (values[site].flatten(2)[:, 1:][kept].to(dictionary.encoder.dtype) for site in sites)
        yield x, y
