"""How vectors are made: a pair of prompts (ActAdd), or two sets of texts and a kind of direction between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.core.errors import InputError, VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.steering.directions import DIRECTIONS, Norm, scaled
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from glassbook.text.corpora import open_corpus

Sites = str | Site | Sequence[str | Site]
Texts = Sequence[str | Sequence[int]]

GENERAL = ("oz", "willows")
"""The corpora that stand for language at large where a mean-centered direction is given no negatives."""

_PASSAGES, _PASSAGE_CHARACTERS = 32, 200
_PASS_TOKENS = 2048


def actadd(model: Model, positive: str, negative: str, site: str | Site) -> SteeringVector:
    """Return the ActAdd vector h(positive) - h(negative), one row per front token, exactly as published.

    Turner et al. 2023 (2308.10248), algorithm 1: both prompts begin with the document-start token, the shorter is padded on
    the right with the token of a single space, and the rows are added to the first tokens of the prompt on the first pass
    only. The first row is zero, so the document-start token stays untouched. Multiply by the coefficient c.
    """
    place = _one_site(model, site)
    return actadd_set(model, positive, negative, place)[place]


def actadd_set(model: Model, positive: str, negative: str, sites: Sites) -> VectorSet:
    """Return the ActAdd vector of a pair at each of several Sites, read in one pass."""
    places, rows = _sites(model, sites), padded_pair(model, positive, negative)
    if rows[0] == rows[1]:
        raise VectorError(
            f"'{positive}' and '{negative}' tokenize to the same tokens, so their vector is zero; choose another pair"
        )
    made = {"recipe": "actadd", "positive": positive, "negative": negative, "tokens": rows}
    values = capture(model, rows, places)
    vectors = []
    for place in places:
        # A single neuron's value has no axis to run along, so its direction is given one of length 1.
        pair = values[place].float().cpu().reshape(2, len(rows[0]), -1)
        _check_finite(pair, place)
        difference = pair[0] - pair[1]
        # Both prompts begin with the same token, which sees nothing but itself; what differs there is rounding.
        difference[0] = 0
        vectors.append(
            SteeringVector(
                site=place, values=difference, identity=model.identity, positions="front", needs_bos=True, made=made
            )
        )
    return VectorSet(tuple(vectors))


def padded_pair(model: Model, positive: str, negative: str) -> list[list[int]]:
    """Return the two prompts as ids of equal length: document start, text, single spaces."""
    rows = [model.read(text, prepend_bos=True).row(0) for text in (positive, negative)]
    space, longest = model.to_single_token(" "), max(map(len, rows))
    return [row + [space] * (longest - len(row)) for row in rows]


def direction(
    model: Model,
    positives: Texts,
    negatives: Texts | None,
    site: str | Site,
    kind: str = "mean-difference",
    position: int = -1,
    norm: Norm = "difference",
) -> SteeringVector:
    """Return the direction from the negatives to the positives at one Site, added at every token.

    `kind` is one of `DIRECTIONS`; each text is read at the token `position`, counted from its end where it is negative (-1
    the last; -2 the answer's letter before a closing bracket, as in 2312.06681). `norm` is one of `NORMS`. A mean-centered
    direction without negatives takes passages of `GENERAL` for them. Raises InputError for texts that cannot be used and
    VectorError where there is no direction.
    """
    place = _one_site(model, site)
    return directions(model, positives, negatives, place, kind, position, norm)[place]


def directions(
    model: Model,
    positives: Texts,
    negatives: Texts | None,
    sites: Sites,
    kind: str = "mean-difference",
    position: int = -1,
    norm: Norm = "difference",
) -> VectorSet:
    """Return the same direction at each of several Sites, such as `"L4-20.resid_post"`; every text is read once."""
    find, places = DIRECTIONS.find(kind), _sites(model, sites)
    made: dict[str, Any] = {"recipe": kind}
    if negatives is None:
        if kind != "mean-centered":
            raise InputError(f"a {kind} direction needs negatives; give texts, or use kind='mean-centered'")
        # A character is seldom more than one token, and never more than a few.
        negatives, made["negatives"] = general_texts(min(_PASSAGE_CHARACTERS, model.config.n_ctx // 2)), list(GENERAL)
    rows = [_rows(model, "positives", positives), _rows(model, "negatives", negatives)]
    if sorted(rows[0]) == sorted(rows[1]):
        raise VectorError("positives and negatives are the same texts, so their difference is zero; choose other texts")
    made |= {"n_positives": len(rows[0]), "n_negatives": len(rows[1]), "position": position, "norm": norm}
    _check_position(rows, position)
    read = _activations(model, [*rows[0], *rows[1]], places, position)
    vectors = []
    for place in places:
        _check_finite(read[place], place)
        sides = read[place][: len(rows[0])], read[place][len(rows[0]) :]
        try:
            values = scaled(find(*sides), *sides, norm).float()
        except VectorError as fault:
            raise VectorError(f"at {place} {fault}") from fault
        vectors.append(SteeringVector(site=place, values=values, identity=model.identity, made=made))
    return VectorSet(tuple(vectors))


def mean_difference(
    model: Model, positives: Texts, negatives: Texts, site: str | Site, position: int = -1
) -> SteeringVector:
    """Return mean h(positives) - mean h(negatives) at one token of each text, the last by default.

    The difference-in-means vector of Rimsky et al. 2023 (2312.06681) and Marks and Tegmark 2023 (2310.06824); it is added
    at every token.
    """
    return direction(model, positives, negatives, site, "mean-difference", position)


def general_texts(n_characters: int = 200) -> list[str]:
    """Return passages of at most `n_characters`, spread evenly over `GENERAL`: the beginnings of paragraphs."""
    texts = []
    for name in GENERAL:
        paragraphs = [part for chapter in open_corpus(name) for part in chapter.split("\n\n")]
        long = [part for part in paragraphs if len(part) > n_characters]
        chosen = [long[i * len(long) // _PASSAGES] for i in range(_PASSAGES)]
        texts += [part[:n_characters].rpartition(" ")[0] for part in chosen]
    return texts


def _rows(model: Model, name: str, texts: Texts) -> list[list[int]]:
    """Return each text as ids; raise InputError for no texts, or for one that tokenizes to nothing, naming it."""
    if isinstance(texts, str) or len(texts) == 0:
        raise InputError(f"there are no {name}; give a list of at least one text on each side")
    rows = []
    for number, text in enumerate(texts):
        try:
            rows.append(model.read(text).row(0))
        except InputError as fault:
            shown = repr(text)[:40]
            raise InputError(f"text {number} of the {name}, {shown}, cannot be read: {fault}") from fault
    return rows


def _check_position(sides: Sequence[Sequence[Sequence[int]]], position: int) -> None:
    for name, rows in zip(("positives", "negatives"), sides, strict=True):
        for number, row in enumerate(rows):
            if not -len(row) <= position < len(row):
                raise InputError(
                    f"text {number} of the {name} has {len(row)} tokens and so no position {position}; "
                    f"give longer texts, or read them at -1"
                )


def _activations(
    model: Model, rows: Sequence[Sequence[int]], sites: Sequence[Site], position: int
) -> Mapping[Site, Float[Tensor, "text width"]]:
    """Return what stands at one token of every row, in float64; rows of like length go through the model together."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found: dict[Site, list[Tensor]] = {site: [] for site in sites}
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * len(rows[order[last]]) <= _PASS_TOKENS:
            last += 1
        batch = Prompts.of([rows[i] for i in order[first:last]])
        read = capture(model, batch, sites, positions=position)
        for site in sites:
            found[site].append(read[site].cpu().double().reshape(last - first, -1))
        first = last
    back = torch.tensor(order).argsort()
    return {site: torch.cat(parts)[back] for site, parts in found.items()}


def _check_finite(values: Tensor, site: Site) -> None:
    if not torch.isfinite(values).all():
        raise VectorError(
            f"the activations at {site} hold NaN or infinite numbers; open the model in float32, or choose another Site"
        )


def _one_site(model: Model, site: str | Site) -> Site:
    sites = _sites(model, site)
    if len(sites) != 1:
        raise InputError(f"'{site}' names {len(sites)} Sites and a vector lives at one; name one layer")
    return sites[0]


def _sites(model: Model, sites: Sites) -> list[Site]:
    found = model.sites(sites)
    if not found:
        raise InputError("no Site is named, so there is nowhere to read; give at least one, such as L6.resid_post")
    for site in found:
        if "query" in site.kind.axes or (len(site.kind.axes) == 4 and site.head is None):
            raise InputError(
                f"{site} holds no single vector per token; name a head (L<layer>.H<head>.{site.name}) or a stream Site"
            )
    return found
