"""Active features as a list, row by row: what `encode` gives, without ever holding a number for every feature of every row.

Where a kind's features follow from pre-activations alone, by a threshold each or as the largest of a row, these are formed for
some rows at a time and only what is active is kept. Every other kind is encoded so many rows at a time.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.features.batchtopk import BatchTopK
from glassbook.features.dictionary import Dictionary
from glassbook.features.gated import Gated
from glassbook.features.jumprelu import JumpReLU
from glassbook.features.native.library import above, top_of_rows
from glassbook.features.standard import Standard
from glassbook.features.topk import TopK
from glassbook.features.transcoder import Transcoder

CHUNK = 1024
"""Rows whose pre-activations are formed at a time."""


class Entries(NamedTuple):
    """Row, feature and activation of whatever is above 0, in the order of the rows."""

    rows: Int[Tensor, " n"]
    features: Int[Tensor, " n"]
    values: Float[Tensor, " n"]


@torch.no_grad()
def list_active(dictionary: Dictionary, x: Float[Tensor, "batch d_in"]) -> Entries:
    """Return which features of a batch are above 0, and how strong; raise DictionaryError for a batch it cannot read."""
    checked = dictionary.checked(x)
    inner = dictionary.inner if isinstance(dictionary, Transcoder) else dictionary
    found = [_of_rows(inner, part, first) for first, part in _parts(checked)]
    if not found:
        none = torch.zeros(0, dtype=torch.int64)
        return Entries(none, none, torch.zeros(0))
    return Entries(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _parts(x: Float[Tensor, "batch d_in"]) -> list[tuple[int, Float[Tensor, "rows d_in"]]]:
    return [(first, x[first : first + CHUNK]) for first in range(0, len(x), CHUNK)]


def _of_rows(dictionary: Dictionary, x: Float[Tensor, "rows d_in"], first: int) -> Entries:
    """Return the entries of a few rows, of which the first has this number."""
    floors = _floors(dictionary)
    if isinstance(dictionary, TopK) and dictionary.encoder.dtype is torch.float32:
        return _top(dictionary, x, first)
    if floors is None or dictionary.encoder.dtype is not torch.float32:
        return _whole(dictionary.encode(x), first)
    rows, features, values = above(x @ dictionary.encoder.T, dictionary.b_enc.detach(), floors)
    if isinstance(dictionary, Gated):
        opened = dictionary.r_mag[features].exp() * (values - dictionary.b_enc[features]) + dictionary.b_mag[features]
        kept = opened > 0
        rows, features, values = rows[kept], features[kept], opened[kept]
    return Entries(rows + first, features, values)


def _floors(dictionary: Dictionary) -> Float[Tensor, " n_features"] | None:
    """Return what pre-activations must exceed; None where that is not what makes a feature active."""
    zeros = torch.zeros_like(dictionary.b_enc, dtype=torch.float32)
    if isinstance(dictionary, BatchTopK):
        # What reaches the threshold is active, and what exceeds the number before it reaches it.
        before = torch.nextafter(dictionary.threshold, torch.tensor(-torch.inf, device=zeros.device))
        return (zeros + before).clamp(min=0)
    if isinstance(dictionary, JumpReLU):
        return dictionary.threshold.detach()
    return zeros if isinstance(dictionary, Standard | Gated) else None


def _top(dictionary: TopK, x: Float[Tensor, "rows d_in"], first: int) -> Entries:
    features, values = top_of_rows(x @ dictionary.encoder.T, dictionary.b_enc.detach(), dictionary.k)
    kept = values > 0
    row, _ = kept.nonzero(as_tuple=True)
    return Entries(row + first, features[kept], values[kept])


def _whole(features: Float[Tensor, "rows n_features"], first: int) -> Entries:
    rows, which = (features > 0).nonzero(as_tuple=True)
    return Entries(rows + first, which, features[rows, which].float())
