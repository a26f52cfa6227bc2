"""How vectors are made: a pair of prompts (ActAdd), or two sets of texts (mean difference)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.core.errors import InputError, VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.vectors import SteeringVector


def actadd(model: Model, positive: str, negative: str, site: str | Site) -> SteeringVector:
    """Return the ActAdd vector h(positive) - h(negative), one row per front token, exactly as published.

    Turner et al. 2023 (2308.10248), algorithm 1: both prompts begin with the document-start token, the shorter is padded on
    the right with the token of a single space, and the rows are added to the first tokens of the prompt on the first pass
    only. The first row is zero, so the document-start token stays untouched. Multiply by the coefficient c.
    """
    place = _one_site(model, site)
    rows = padded_pair(model, positive, negative)
    values = capture(model, rows, place)[place].float()
    # A single neuron's value has no axis to run along, so its direction is given one of length 1.
    difference = (values[0] - values[1]).reshape(len(rows[0]), -1)
    if not difference.any():
        raise VectorError(
            f"'{positive}' and '{negative}' tokenize to the same tokens, so their vector is zero; choose another pair"
        )
    # Both prompts begin with the same token, which sees nothing but itself; what differs there is rounding.
    difference[0] = 0
    made = {"recipe": "actadd", "positive": positive, "negative": negative, "tokens": rows}
    return SteeringVector(
        site=place, values=difference, identity=model.identity, positions="front", needs_bos=True, made=made
    )


def padded_pair(model: Model, positive: str, negative: str) -> list[list[int]]:
    """Return the two prompts as ids of equal length: document start, text, single spaces."""
    rows = [model.read(text, prepend_bos=True).row(0) for text in (positive, negative)]
    space, longest = model.to_single_token(" "), max(map(len, rows))
    return [row + [space] * (longest - len(row)) for row in rows]


def mean_difference(
    model: Model,
    positives: Sequence[str],
    negatives: Sequence[str],
    site: str | Site,
    position: int = -1,
    batch_size: int = 32,
) -> SteeringVector:
    """Return mean h(positives) - mean h(negatives) at one token of each text, the last by default.

    The difference-in-means vector of Rimsky et al. 2023 (2312.06681) and Marks and Tegmark 2023 (2310.06824); it is added
    at every token.
    """
    place = _one_site(model, site)
    for name, texts in (("positives", positives), ("negatives", negatives)):
        if not texts or isinstance(texts, str):
            raise InputError(f"there are no {name}; give a list of at least one text on each side")
    means = [_mean(model, texts, place, position, batch_size) for texts in (positives, negatives)]
    made = {
        "recipe": "mean-difference",
        "n_positives": len(positives),
        "n_negatives": len(negatives),
        "position": position,
    }
    return SteeringVector(site=place, values=means[0] - means[1], identity=model.identity, made=made)


def _mean(model: Model, texts: Sequence[str], site: Site, position: int, batch_size: int) -> Float[Tensor, " width"]:
    values = capture(model, list(texts), site, positions=position, batch_size=batch_size)[site]
    return values.double().mean(0).reshape(-1).to(torch.float32)


def _one_site(model: Model, site: str | Site) -> Site:
    sites = model.sites(site)
    if len(sites) != 1:
        raise InputError(f"'{site}' names {len(sites)} Sites and a vector lives at one; name one layer")
    if "query" in sites[0].kind.axes or (len(sites[0].kind.axes) == 4 and sites[0].head is None):
        raise InputError(
            f"{sites[0]} holds no single vector per token; name a head (L<layer>.H<head>.{sites[0].name}) or a stream Site"
        )
    return sites[0]
